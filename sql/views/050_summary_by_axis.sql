-- summary_by_{{ axis }}: how much of a snapshot each {{ axis }} covers: a row per snapshot and {{ axis }}.
{%- if axis == 'compiler' %}
-- A package without compiled code lacks no compiler: a compiler is measured by the packages that have a
-- spec with one. none is no compiler: its row says how many of all packages have a spec without.
{%- endif %}
create view summary_by_{{ axis }} as
with covered as (
    select
        snapshot, {{ axis }},
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
    from specs
    group by snapshot
),

-- A size is known of some specs, of all or of none, and so is what installs without building. More than 64 bits hold
-- is not known.
known as (
    select
        snapshot, {{ axis }},
        try_cast(sum(cast(size_bytes as decimal(38, 0))) as bigint) as size_bytes,
        count(size_bytes) as sized_specs,
        count(case when installable then 1 end) as installable,
        count(installable) as installable_known,
    from {{ table }}
    where (size_bytes is not null or installable is not null){{ " and stack <> 'root'" if axis == 'stack' }}
    group by snapshot, {{ axis }}
),

measured as (
    select
        covered.snapshot, covered.{{ axis }}, covered.packages,
        {%- if axis == 'compiler' %}
        case when covered.compiler = 'none' then totals.packages else totals.packages_compiled end as packages_total,
        {%- else %}
        totals.packages as packages_total,
        {%- endif %}
        covered.specs, known.size_bytes,
        coalesce(known.sized_specs, 0) as sized_specs,
        case when known.installable_known > 0 then known.installable end as installable,
        coalesce(known.installable_known, 0) as installable_known,
    from covered
    inner join totals on covered.snapshot = totals.snapshot
    left join known on covered.snapshot = known.snapshot and covered.{{ axis }} = known.{{ axis }}
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
    size_bytes,  -- bytes of their tarballs, of those whose size is known; NULL where none is, never 0 for that
    sized_specs,  -- specs whose size is known
    {%- if axis == 'stack' %}
    installable,  -- specs that install from the stack without building; NULL where it is not known for any spec
    {%- else %}
    installable,  -- specs that install without building from any place; NULL where it is not known for any spec
    {%- endif %}
    installable_known,  -- specs of which it is known
from measured;
