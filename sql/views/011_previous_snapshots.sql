-- previous_snapshots: the last complete snapshot before each, with which it is compared: a row per snapshot that has one.
-- Of its series, where develop comes after the weekly ones. A snapshot with a source that is failed, stale or shrunk
-- (see sources) is skipped: what it lacks it may have had.
create view previous_snapshots as
with {% include 'chained_snapshots.sql' %},

doubtful as (
    select distinct snapshot,
    from sources
    where snapshot is not null and state in ('failed', 'stale', 'shrunk')
),

complete as (
    select placed.snapshot, placed.chain, placed.place,
    from placed
    left join doubtful on placed.snapshot = doubtful.snapshot
    where doubtful.snapshot is null
),

before as (
    select
        placed.snapshot, placed.chain, placed.place,
        max(complete.place) as previous_place,
    from placed
    inner join complete on placed.chain = complete.chain and placed.place > complete.place
    group by placed.snapshot, placed.chain, placed.place
)

select
    before.snapshot,
    complete.snapshot as previous,  -- the last complete snapshot before it
    before.place - before.previous_place - 1 as skipped,  -- snapshots between them that are not complete
from before
inner join complete on before.chain = complete.chain and before.previous_place = complete.place;
