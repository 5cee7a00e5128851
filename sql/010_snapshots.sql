-- snapshots: a row per snapshot, with its place in the calendar.
-- A snapshot whose pages gave no spec is there too, with zeros.
create view snapshots as
with counted as (
    select
        spec_stacks.snapshot,
        count(distinct spec_stacks.package) as packages,
        count(distinct spec_stacks.hash) as specs,
    from spec_stacks
    group by spec_stacks.snapshot
)

select
    calendar.snapshot,
    calendar.series as kind,
    calendar.date,
    row_number() over (
        order by
            case calendar.series when 'release' then 1 when 'weekly' then 2 when 'develop' then 3 else 4 end,
            calendar.position
    ) as sort_position,
    coalesce(counted.packages, 0) as packages,
    coalesce(counted.specs, 0) as specs,
from calendar
left join counted on calendar.snapshot = counted.snapshot
where calendar.snapshot is not null;
