-- gaps: packages that a stack lacks and others of its platform have: a row per snapshot, stack and package.
-- The most widely held ones are missed most.
-- Whether they could be built there now takes a walk over the whole graph of a snapshot: the command gaps says that.
create view gaps as
with held as (
    select distinct snapshot, stack, platform, package,
    from spec_stacks
    where stack <> 'root'
),

builders as (
    select distinct snapshot, stack, platform,
    from held
),

holders as (
    select
        snapshot, platform, package,
        count(*) as held_by,
        list_sort(array_agg(stack)) as stacks,
    from held
    group by snapshot, platform, package
),

offered as (
    select distinct snapshot, platform, package,
    from held
),

-- Before the stacks that have it are named: those of a package that no stack lacks would be copied for each.
lacked as (
    select builders.snapshot, builders.stack, builders.platform, offered.package,
    from builders
    inner join offered
        on builders.snapshot = offered.snapshot and builders.platform = offered.platform
    left join held
        on
            builders.snapshot = held.snapshot
            and builders.stack = held.stack
            and builders.platform = held.platform
            and offered.package = held.package
    where held.package is null
)

select
    lacked.snapshot,
    lacked.stack,
    lacked.package,
    lacked.platform,  -- platform that the stack builds for
    holders.held_by,  -- other stacks of the platform that have the package there
    holders.stacks,  -- those stacks, in text order
from lacked
inner join holders
    on
        lacked.snapshot = holders.snapshot
        and lacked.platform = holders.platform
        and lacked.package = holders.package;
