-- matrix_by_{{ axis }}_totals: the cells of each row of the matrix add up to
{%- if axis == 'stack' %} what the long table holds: spec_stacks has a row per hash and stack.
{%- else %} the package's specs: a hash has one {{ axis }}.
{%- endif %}
with wide as (
    select
        snapshot, package,
        0 {%- for value, column in columns %} + {{ column }} {%- endfor %} as total,
    from matrix_by_{{ axis }}
),

long as (
    select
        snapshot, package,
        count(*) as total,
    from {{ table }}
    where {{ axis }} in ({{ columns | map('first') | join(', ') or 'null' }})
    group by snapshot, package
)

select
    coalesce(wide.snapshot, long.snapshot) as snapshot,
    coalesce(wide.package, long.package) as package,
    wide.total as wide_total,
    long.total as long_total,
from wide
full outer join long on wide.snapshot = long.snapshot and wide.package = long.package
where coalesce(wide.total, 0) <> coalesce(long.total, 0);
