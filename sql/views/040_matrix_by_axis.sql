-- matrix_by_{{ axis }}: coverage by {{ axis }}, wide: a row per snapshot and package, a column per {{ axis }}, in text order.
-- A view's columns are fixed when it is made: the build writes out those that the data has, of any snapshot.
{%- if axis == 'stack' %}
-- Packages that stand in root alone have a row of zeros.
{%- endif %}
create view matrix_by_{{ axis }} as
with counted as (
    select
        snapshot,
        package,
        {{ axis }},
        count(*) as num_specs,
    from {{ table }}
    group by snapshot, package, {{ axis }}
)

select
    snapshot,
    package,
    {%- for value, column in columns %}
    cast(sum(case when {{ axis }} = {{ value }} then num_specs else 0 end) as bigint) as {{ column }},
    {%- endfor %}
from counted
group by snapshot, package;
