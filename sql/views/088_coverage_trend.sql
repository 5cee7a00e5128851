-- coverage_trend: coverage over time: a row per series, axis, value and snapshot, and for each week without a snapshot.
-- A value has 0 where a snapshot has none of it, and NULL in a week without a weekly snapshot (see calendar), and
-- where a stack is unknown (see stack_state): nothing is known of that. Releases, weekly snapshots, develop and others are series of their own.
create view coverage_trend as
with met as (
    select distinct snapshot, stack, compiler, target,
    from spec_stacks
),

present as (
    {%- for axis in axes %}
    {%- if not loop.first %}
    union all
    {%- endif %}
    select
        snapshot,
        '{{ axis }}' as axis,
        {{ axis }} as value,
    from met
    {%- if axis == 'stack' %}
    where stack <> 'root'
    {%- endif %}
    {%- endfor %}
),

begun as (
    select
        calendar.series, present.axis, present.value,
        min(calendar.position) as position,
    from present
    inner join calendar on present.snapshot = calendar.snapshot
    group by calendar.series, present.axis, present.value
),

counted as (
    {%- for axis in axes %}
    {%- if not loop.first %}
    union all
    {%- endif %}
    select
        snapshot,
        '{{ axis }}' as axis,
        {{ axis }} as value,
        packages, specs,
    from summary_by_{{ axis }}
    {%- endfor %}
),

totals as (
    select
        snapshot,
        count(distinct package) as packages,
        count(distinct case when compiler <> 'none' then package end) as compiled,
    from specs
    group by snapshot
),

unknown as (
    select snapshot, stack,
    from stack_state
    where state = 'unknown'
),

measured as (
    select
        calendar.series, calendar.position, calendar.date, calendar.snapshot, begun.axis, begun.value,
        case
            when calendar.snapshot is not null and unknown.snapshot is null then coalesce(counted.packages, 0)
        end as packages,
        case
            when calendar.snapshot is null then null
            when begun.axis = 'compiler' and begun.value <> 'none' then coalesce(totals.compiled, 0)
            else coalesce(totals.packages, 0)
        end as packages_total,
        case when calendar.snapshot is not null and unknown.snapshot is null then coalesce(counted.specs, 0) end as specs,
    from calendar
    inner join begun on calendar.series = begun.series and calendar.position >= begun.position
    left join counted
        on
            calendar.snapshot = counted.snapshot
            and begun.axis = counted.axis
            and begun.value = counted.value
    left join totals on calendar.snapshot = totals.snapshot
    left join unknown
        on calendar.snapshot = unknown.snapshot and begun.axis = 'stack' and begun.value = unknown.stack
)

select
    series,
    position,
    date,
    snapshot,  -- snapshot; NULL for a week that has none
    axis,  -- stack, compiler or target
    value,  -- the stack, compiler or target; from its first snapshot of the series on
    packages,  -- packages with at least one spec there, 0 where none; NULL where not known
    packages_total,  -- packages of the snapshot, as in summary_by_*; NULL for a missing week
    -- packages / packages_total, 0 to 1; NULL where not known
    case when packages_total > 0 then cast(packages as double) / packages_total end as coverage,
    specs,  -- distinct hashes there; NULL where not known
from measured;
