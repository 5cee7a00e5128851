-- coverage_trend: a row per series, axis, value and snapshot, in calendar order, from the value's first
-- snapshot of the series on: 0 where a snapshot has none of it. Releases, weekly snapshots, develop and
-- others are series of their own. A week without a weekly snapshot (see calendar) is a row too, with
-- NULL: nothing is known of it.
create view coverage_trend as
with met as (
    select distinct
        spec_stacks.snapshot,
        spec_stacks.stack,
        spec_stacks.compiler,
        spec_stacks.target,
    from spec_stacks
),

present as (
    select
        met.snapshot,
        'stack' as axis,
        met.stack as value,
    from met
    where met.stack <> 'root'
    union all
    select
        met.snapshot,
        'compiler' as axis,
        met.compiler as value,
    from met
    union all
    select
        met.snapshot,
        'target' as axis,
        met.target as value,
    from met
),

begun as (
    select
        calendar.series,
        present.axis,
        present.value,
        min(calendar.position) as position,
    from present
    inner join calendar on present.snapshot = calendar.snapshot
    group by
        calendar.series,
        present.axis,
        present.value
),

counted as (
    select
        summary_by_stack.snapshot,
        'stack' as axis,
        summary_by_stack.stack as value,
        summary_by_stack.packages,
        summary_by_stack.specs,
    from summary_by_stack
    union all
    select
        summary_by_compiler.snapshot,
        'compiler' as axis,
        summary_by_compiler.compiler as value,
        summary_by_compiler.packages,
        summary_by_compiler.specs,
    from summary_by_compiler
    union all
    select
        summary_by_target.snapshot,
        'target' as axis,
        summary_by_target.target as value,
        summary_by_target.packages,
        summary_by_target.specs,
    from summary_by_target
),

totals as (
    select
        spec_stacks.snapshot,
        count(distinct spec_stacks.package) as packages,
        count(distinct case when spec_stacks.compiler <> 'none' then spec_stacks.package end) as compiled,
    from spec_stacks
    group by spec_stacks.snapshot
),

measured as (
    select
        calendar.series,
        calendar.position,
        calendar.date,
        calendar.snapshot,
        begun.axis,
        begun.value,
        case when calendar.snapshot is not null then coalesce(counted.packages, 0) end as packages,
        case
            when calendar.snapshot is null then null
            when begun.axis = 'compiler' and begun.value <> 'none' then coalesce(totals.compiled, 0)
            else coalesce(totals.packages, 0)
        end as packages_total,
        case when calendar.snapshot is not null then coalesce(counted.specs, 0) end as specs,
    from calendar
    inner join begun on calendar.series = begun.series and calendar.position >= begun.position
    left join counted
        on
            calendar.snapshot = counted.snapshot
            and begun.axis = counted.axis
            and begun.value = counted.value
    left join totals on calendar.snapshot = totals.snapshot
)

select
    measured.series,
    measured.position,
    measured.date,
    measured.snapshot,
    measured.axis,
    measured.value,
    measured.packages,
    measured.packages_total,
    case when measured.packages_total > 0 then cast(measured.packages as double) / measured.packages_total end as coverage,
    measured.specs,
from measured;
