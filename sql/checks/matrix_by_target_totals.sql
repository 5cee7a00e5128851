-- matrix_by_target_totals: the cells of each row of the matrix add up to the package's specs: a hash has one target.
with wide as (
    select
        matrix_by_target.snapshot,
        matrix_by_target.package,
        0 {%- for value, column in columns %} + matrix_by_target.{{ column }} {%- endfor %} as total,
    from matrix_by_target
),

long as (
    select
        specs.snapshot,
        specs.package,
        count(*) as total,
    from specs
    group by
        specs.snapshot,
        specs.package
)

select
    coalesce(wide.snapshot, long.snapshot) as snapshot,
    coalesce(wide.package, long.package) as package,
    wide.total as wide_total,
    long.total as long_total,
from wide
full outer join long on wide.snapshot = long.snapshot and wide.package = long.package
where coalesce(wide.total, 0) <> coalesce(long.total, 0);
