-- coverage_by_{{ axis }}: which packages have specs per {{ axis }}: a row per snapshot, package and {{ axis }} with at least one.
{%- if axis == 'stack' %}
-- The key of spec_stacks makes each of its rows another hash here.
{%- else %}
-- Counts hashes, however many stacks hold them; specs that stand in root alone count too.
{%- endif %}
create view coverage_by_{{ axis }} as
with counted as (
    select
        snapshot,
        package,
        {{ axis }},
        version,
        version_key,
        count(*) as num_specs,
    from {{ table }}
    {%- if axis == 'stack' %}
    where stack <> 'root'
    {%- endif %}
    group by snapshot, package, {{ axis }}, version, version_key
)

select
    snapshot,
    package,
    {{ axis }},
    cast(sum(num_specs) as bigint) as num_specs,  -- distinct hashes
    list_sort(array_agg(version)) as versions,  -- distinct versions among them, in text order
    arg_max(version, version_key || ' ' || version) as latest_version,  -- the newest of them, in Spack's order
from counted
group by snapshot, package, {{ axis }};
