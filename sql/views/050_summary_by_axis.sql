-- summary_by_{{ axis }}: how much of a snapshot each {{ axis }} covers: a row per snapshot and {{ axis }}.
{%- if axis == 'compiler' %}
-- A package without compiled code lacks no compiler: a compiler is measured by the packages that have a
-- spec with one. none is no compiler: its row says how many of all packages have a spec without.
{%- endif %}
create view summary_by_{{ axis }} as
with covered as (
    select
        snapshot,
        {{ axis }},
        count(*) as packages,
        cast(sum(num_specs) as bigint) as specs,
    from coverage_by_{{ axis }}
    group by snapshot, {{ axis }}
),

totals as (
    select
        snapshot,
        {%- if axis == 'compiler' %}
        count(distinct case when compiler <> 'none' then package end) as packages_compiled,
        {%- endif %}
        count(distinct package) as packages,
    from spec_stacks
    group by snapshot
),

measured as (
    select
        covered.snapshot,
        covered.{{ axis }},
        covered.packages,
        {%- if axis == 'compiler' %}
        case when covered.compiler = 'none' then totals.packages else totals.packages_compiled end as packages_total,
        {%- else %}
        totals.packages as packages_total,
        {%- endif %}
        covered.specs,
    from covered
    inner join totals on covered.snapshot = totals.snapshot
)

select
    snapshot,
    {{ axis }},
    packages,
    {%- if axis == 'compiler' %}
    packages_total,  -- packages of the snapshot, and for a compiler only those with a spec that has one
    {%- else %}
    packages_total,  -- packages of the snapshot
    {%- endif %}
    cast(packages as double) / packages_total as coverage,
    specs,
from measured;
