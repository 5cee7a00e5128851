-- matrix_by_stack_totals: the cells of each row of the matrix add up to what the long table holds: spec_stacks has a row per hash and stack.
with wide as (
    select
        matrix_by_stack.snapshot,
        matrix_by_stack.package,
        0 {%- for value, column in columns %} + matrix_by_stack.{{ column }} {%- endfor %} as total,
    from matrix_by_stack
),

long as (
    select
        spec_stacks.snapshot,
        spec_stacks.package,
        count(*) as total,
    from spec_stacks
    where spec_stacks.stack <> 'root'
    group by
        spec_stacks.snapshot,
        spec_stacks.package
)

select
    coalesce(wide.snapshot, long.snapshot) as snapshot,
    coalesce(wide.package, long.package) as package,
    wide.total as wide_total,
    long.total as long_total,
from wide
full outer join long on wide.snapshot = long.snapshot and wide.package = long.package
where coalesce(wide.total, 0) <> coalesce(long.total, 0);
