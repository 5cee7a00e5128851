-- snapshots: a row per snapshot.
-- One whose pages gave no spec is there too, with zeros.
create view snapshots as
with counted as (
    select
        snapshot,
        count(distinct package) as packages,
        count(distinct hash) as specs,
    from spec_stacks
    group by snapshot
)

select
    calendar.snapshot,
    calendar.series as kind,  -- develop, weekly (develop-YYYY-MM-DD), release (vX.Y.Z) or other
    calendar.date,  -- date of a weekly snapshot; NULL for the others
    -- 1, 2, …: releases by number, weekly by date, develop, others by name
    row_number() over (
        order by
            case calendar.series when 'release' then 1 when 'weekly' then 2 when 'develop' then 3 else 4 end,
            calendar.position
    ) as sort_position,
    coalesce(counted.packages, 0) as packages,  -- packages with at least one spec
    coalesce(counted.specs, 0) as specs,  -- distinct hashes, root-only ones included
from calendar
left join counted on calendar.snapshot = counted.snapshot
where calendar.snapshot is not null;
