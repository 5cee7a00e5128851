-- matrix_by_{{ axis }}: coverage by {{ axis }}, wide: a row per snapshot and package, a column per {{ axis }}, in text order, {{ most_columns }} at most.
-- A view's columns are fixed when it is made: the build writes out those that the data has, of any snapshot. Of more
-- it takes those with the most specs, and of equals the first by name; coverage_by_{{ axis }} has all.
{%- if axis == 'stack' %}
-- Packages that stand in root alone have a row of zeros.
{%- endif %}
create view matrix_by_{{ axis }} as
with counted as (
    select
        snapshot, package, {{ axis }},
        count(*) as num_specs,
    from {{ table }}
    group by snapshot, package, {{ axis }}
),

-- A package's cells as one map: as many sums as there are columns would take their memory for every package.
packed as (
    select
        snapshot, package,
        map_from_entries(array_agg(struct_pack(key := {{ axis }}, value := num_specs))) as cells,
    from counted
    group by snapshot, package
)

select
    snapshot,
    package,
    {%- for value, column in columns %}
    coalesce(cells[{{ value }}], 0) as {{ column }},
    {%- endfor %}
from packed;
