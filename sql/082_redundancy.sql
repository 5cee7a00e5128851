-- redundancy: a row per snapshot and package: how many of its specs differ from another in nothing
-- that a user sees. A configuration is version, compiler, os, platform, target and variants; not the
-- stacks. Compilers are compared as the source spells them.
create view redundancy as
with configurations as (
    select
        specs.snapshot,
        specs.package,
        count(*) as specs,
    from specs
    group by
        specs.snapshot,
        specs.package,
        specs.version,
        specs.compiler_raw,
        specs.os,
        specs.platform,
        specs.target,
        specs.variants
)

select
    configurations.snapshot,
    configurations.package,
    cast(sum(configurations.specs) as bigint) as specs,
    count(*) as configurations,
    cast(sum(configurations.specs) - count(*) as bigint) as redundant,
from configurations
group by
    configurations.snapshot,
    configurations.package;
