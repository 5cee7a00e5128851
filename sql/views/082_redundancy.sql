-- redundancy: how many specs differ in nothing that a user sees: a row per snapshot and package.
-- A user sees not in which stacks a spec is. Compilers are compared as the source spells them.
create view redundancy as
with configurations as (
    select
        snapshot,
        package,
        count(*) as specs,
    from specs
    group by snapshot, package, version, compiler_raw, os, platform, target, variants
)

select
    snapshot,
    package,
    cast(sum(specs) as bigint) as specs,  -- distinct hashes, root-only ones included
    count(*) as configurations,  -- distinct version, compiler, os, platform, target and variants
    cast(sum(specs) - count(*) as bigint) as redundant,  -- specs less configurations
from configurations
group by snapshot, package;
