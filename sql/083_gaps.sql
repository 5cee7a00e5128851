-- gaps: a row per snapshot, stack and package that the stack lacks on a platform it builds for, and
-- that other stacks have there, with how many: the most widely held ones are missed most.
create view gaps as
with held as (
    select distinct
        spec_stacks.snapshot,
        spec_stacks.stack,
        spec_stacks.platform,
        spec_stacks.package,
    from spec_stacks
    where spec_stacks.stack <> 'root'
),

builders as (
    select distinct
        held.snapshot,
        held.stack,
        held.platform,
    from held
),

holders as (
    select
        held.snapshot,
        held.platform,
        held.package,
        count(*) as held_by,
        list_sort(array_agg(held.stack)) as stacks,
    from held
    group by
        held.snapshot,
        held.platform,
        held.package
)

select
    builders.snapshot,
    builders.stack,
    holders.package,
    builders.platform,
    holders.held_by,
    holders.stacks,
from builders
inner join holders on builders.snapshot = holders.snapshot and builders.platform = holders.platform
left join held
    on
        builders.snapshot = held.snapshot
        and builders.stack = held.stack
        and builders.platform = held.platform
        and holders.package = held.package
where held.package is null;
