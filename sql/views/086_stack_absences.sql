-- stack_absences: stacks without an index where one would be: a row per two snapshots and stack that the one provably lacks.
-- A folder of build caches was listed whole: where it has indexes of the snapshot, and none of the stack, of which it
-- has one of the other snapshot, there is no such cache. A listing proves nothing: caches drop out of
-- it that are still there.
create view stack_absences as
with listed as (
    select distinct source, snapshot,
    from sources
    where kind = 'build cache' and snapshot is not null and state = 'loaded'
),

named as (
    select distinct snapshot, stack,
    from sources
    where stack is not null
)

select distinct
    listed.snapshot,  -- snapshot that has no index of the stack, and others of the same source
    there.snapshot as other,  -- snapshot that has an index of the stack
    there.stack,
from sources as there
inner join listed on there.source = listed.source and there.snapshot <> listed.snapshot
left join named on listed.snapshot = named.snapshot and there.stack = named.stack
where
    there.kind = 'build cache'
    and there.state = 'loaded'
    and there.stack <> 'root'
    and named.stack is null;
