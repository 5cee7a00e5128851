-- {{ axis }}_by_{{ other }}: a row per snapshot, {{ axis }} and {{ other }} that meet in at least one spec.
{%- if axis == 'stack' %}
-- The key of spec_stacks makes each of its rows another hash here; root is no stack.
{%- else %}
-- Specs that stand in root alone count too.
{%- endif %}
create view {{ axis }}_by_{{ other }} as
select
    snapshot,
    {{ axis }},
    {{ other }},
    count(distinct package) as packages,
    count(*) as specs,
from {{ table }}
{%- if axis == 'stack' %}
where stack <> 'root'
{%- endif %}
group by snapshot, {{ axis }}, {{ other }};
