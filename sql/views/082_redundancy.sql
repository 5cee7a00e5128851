-- redundancy: how many specs differ in nothing that a user sees: a row per snapshot and package.
-- A user sees not in which stacks a spec is. Compilers are compared as the source spells them. A spec without a
-- namespace has the package's only one of the snapshot; where that has none or several, NULL is one more.
create view redundancy as
with named as (
    select
        snapshot, package,
        min(namespace) as namespace,
    from specs
    where namespace is not null
    group by snapshot, package
    having min(namespace) = max(namespace)
),

configurations as (
    select
        specs.snapshot, specs.package,
        count(*) as specs,
    from specs
    left join named on specs.snapshot = named.snapshot and specs.package = named.package
    group by
        specs.snapshot, specs.package, specs.version, specs.compiler_raw, specs.os, specs.platform, specs.target,
        specs.variants, coalesce(specs.namespace, named.namespace)
)

select
    snapshot,
    package,
    cast(sum(specs) as bigint) as specs,  -- distinct hashes, root-only ones included
    count(*) as configurations,  -- distinct version, compiler, os, platform, target, variants and namespace
    cast(sum(specs) - count(*) as bigint) as redundant,  -- specs less configurations
from configurations
group by snapshot, package;
