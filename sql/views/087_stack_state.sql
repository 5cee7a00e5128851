-- stack_state: what became of each stack in each snapshot: a row per snapshot and stack.
-- A snapshot is compared with the last one before it that held the stack: of its series, where develop comes after
-- the weekly ones. That a stack is removed is proven by an index of it that is empty, by a folder of build caches
-- without it (see stack_absences), or by the pages of half of the packages that it had. Where its source could not be
-- read, or has far less than before (see sources), nothing is known.
create view stack_state as
with {% include 'chained_snapshots.sql' %},

held as (
    select distinct snapshot, stack,
    from coverage_by_stack
),

troubled as (
    select
        snapshot, stack,
        count(case when state <> 'loaded' then 1 end) as troubles,
    from sources
    where snapshot is not null and stack is not null and stack <> 'root'
    group by snapshot, stack
),

stacks as (
    select stack,
    from held
    union
    select stack,
    from troubled
),

-- Pages name every stack that holds a package.
paged as (
    select
        snapshot,
        count(case when state = 'loaded' then 1 end) * 2 >= count(*) as loaded,
    from pages
    where package is not null
    group by snapshot
),

earlier as (
    select
        here.snapshot, here.chain, held.stack,
        max(there.place) as place,
    from placed as here
    inner join placed as there on here.chain = there.chain and here.place > there.place
    inner join held on there.snapshot = held.snapshot
    group by here.snapshot, here.chain, held.stack
),

missed as (
    select
        earlier.snapshot, earlier.stack,
        placed.snapshot as other,
    from earlier
    inner join placed on earlier.chain = placed.chain and earlier.place = placed.place
    left join held on earlier.snapshot = held.snapshot and earlier.stack = held.stack
    where held.stack is null
),

known as (
    select
        missed.snapshot, missed.stack, coverage_by_stack.package,
        count(loaded_sources.package) + count(absences.package) as proofs,
    from missed
    inner join coverage_by_stack on missed.other = coverage_by_stack.snapshot and missed.stack = coverage_by_stack.stack
    left join loaded_sources
        on
            missed.snapshot = loaded_sources.snapshot
            and coverage_by_stack.package = loaded_sources.package
            and loaded_sources.stack is null
    left join absences
        on
            missed.snapshot = absences.snapshot
            and missed.other = absences.other
            and coverage_by_stack.package = absences.package
    group by missed.snapshot, missed.stack, coverage_by_stack.package
),

watched as (
    select
        snapshot, stack,
        count(case when proofs > 0 then 1 end) * 2 >= count(*) as removed,
    from known
    group by snapshot, stack
)

select
    placed.snapshot,
    stacks.stack,
    -- held; removed: an earlier snapshot held it; not begun: none did; unknown: its source does not say
    case
        when troubled.troubles > 0 then 'unknown'
        when held.stack is not null and troubled.stack is null and not coalesce(paged.loaded, true) then 'unknown'
        when held.stack is not null then 'held'
        when missed.stack is null then 'not begun'
        when troubled.stack is not null or stack_absences.stack is not null or watched.removed then 'removed'
        else 'unknown'
    end as state,
from placed
cross join stacks
left join held on placed.snapshot = held.snapshot and stacks.stack = held.stack
left join troubled on placed.snapshot = troubled.snapshot and stacks.stack = troubled.stack
left join paged on placed.snapshot = paged.snapshot
left join missed on placed.snapshot = missed.snapshot and stacks.stack = missed.stack
left join watched on placed.snapshot = watched.snapshot and stacks.stack = watched.stack
left join stack_absences
    on
        missed.snapshot = stack_absences.snapshot
        and missed.other = stack_absences.other
        and missed.stack = stack_absences.stack;
