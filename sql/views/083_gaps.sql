-- gaps: packages that a stack lacks and others of its platform have: a row per snapshot, stack and package.
-- The most widely held ones are missed most.
create view gaps as
with held as (
    select distinct
        snapshot,
        stack,
        platform,
        package,
    from spec_stacks
    where stack <> 'root'
),

builders as (
    select distinct
        snapshot,
        stack,
        platform,
    from held
),

holders as (
    select
        snapshot,
        platform,
        package,
        count(*) as held_by,
        list_sort(array_agg(stack)) as stacks,
    from held
    group by snapshot, platform, package
)

select
    builders.snapshot,
    builders.stack,
    holders.package,
    builders.platform,  -- platform that the stack builds for
    holders.held_by,  -- other stacks of the platform that have the package there
    holders.stacks,  -- those stacks, in text order
from builders
inner join holders on builders.snapshot = holders.snapshot and builders.platform = holders.platform
left join held
    on
        builders.snapshot = held.snapshot
        and builders.stack = held.stack
        and builders.platform = held.platform
        and holders.package = held.package
where held.package is null;
