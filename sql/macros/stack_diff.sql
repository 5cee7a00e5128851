-- stack_diff: what one stack of a snapshot has and another has not, and what both have: a row per package, configuration and hash.
-- The stacks may be of one snapshot or of two; root is one of them. A configuration that differs from another's by
-- having the compiler none is the same, and a spec without a namespace has the package's only one of both stacks, as
-- in configuration_diff. What a source did not load is not there: see sources.
--   snapshot_a: snapshot of the first stack
--   stack_a: the first stack, or root
--   snapshot_b: snapshot of the second stack
--   stack_b: the second stack, or root
with placed as (
    select 'a' as side, package, hash, version, compiler_family, os, platform, target, variants, namespace,
    from spec_stacks
    where snapshot = {{ snapshot_a }} and stack = {{ stack_a }}
    union all
    select 'b' as side, package, hash, version, compiler_family, os, platform, target, variants, namespace,
    from spec_stacks
    where snapshot = {{ snapshot_b }} and stack = {{ stack_b }}
),

named as (
    select
        package,
        min(namespace) as namespace,
    from placed
    where namespace is not null
    group by package
    having min(namespace) = max(namespace)
),

held as (
    select
        placed.side, placed.package, placed.hash, placed.version, placed.compiler_family, placed.os,
        placed.platform, placed.target,
        variant_sets.variants_key as variants,
        coalesce(placed.namespace, named.namespace) as namespace,
    from placed
    inner join variant_sets on placed.variants = variant_sets.variants
    left join named on placed.package = named.package
),

configurations_held as (
    select distinct side, package, version, compiler_family, os, platform, target, variants, namespace,
    from held
),

packages_held as (
    select distinct side, package,
    from held
),

packages_compared as (
    select
        here.side, here.package,
        there.side as other_side,
    from packages_held as here
    left join packages_held as there on here.side <> there.side and here.package = there.package
),

configurations_compared as (
    select
        here.side, here.package, here.version, here.compiler_family, here.os, here.platform, here.target,
        here.variants, here.namespace,
        max(there.side) as other_side,
    from configurations_held as here
    left join configurations_held as there
        on
            here.side <> there.side
            and here.package = there.package
            and here.version = there.version
            and here.os = there.os
            and here.platform = there.platform
            and here.target = there.target
            and here.variants = there.variants
            and coalesce(here.namespace, '') = coalesce(there.namespace, '')
            and (
                here.compiler_family = there.compiler_family
                or here.compiler_family = 'none'
                or there.compiler_family = 'none'
            )
    group by
        here.side, here.package, here.version, here.compiler_family, here.os, here.platform, here.target,
        here.variants, here.namespace
),

hashes_compared as (
    select
        here.side, here.package, here.version, here.compiler_family, here.os, here.platform, here.target,
        here.variants, here.namespace, here.hash,
        there.side as other_side,
    from held as here
    left join held as there on here.side <> there.side and here.hash = there.hash
),

compared as (
    select
        'package' as what, side, other_side, package,
        cast(null as varchar) as version,
        cast(null as varchar) as compiler_family,
        cast(null as varchar) as os,
        cast(null as varchar) as platform,
        cast(null as varchar) as target,
        cast(null as varchar) as variants,
        cast(null as varchar) as namespace,
        cast(null as varchar) as hash,
    from packages_compared
    union all
    select
        'configuration' as what, side, other_side, package, version, compiler_family, os, platform, target,
        variants, namespace,
        cast(null as varchar) as hash,
    from configurations_compared
    union all
    select
        'hash' as what, side, other_side, package, version, compiler_family, os, platform, target, variants,
        namespace, hash,
    from hashes_compared
)

select
    what,  -- package, configuration or hash
    case when other_side is null then side else 'both' end as held_by,  -- a: the first stack alone; b: the second alone; both
    package,
    version,  -- the version; NULL for a package
    compiler_family,  -- compiler's name as of Spack 1.0, of both the first stack's; NULL for a package
    os,  -- operating system; NULL for a package
    platform,  -- linux, darwin or windows; NULL for a package
    target,  -- microarchitecture by archspec's name; NULL for a package
    variants,  -- variants by name, one spelling of each, e.g. build_type=Release +mpi; NULL for a package
    namespace,  -- repository of the package, e.g. builtin; NULL for a package, and where no source or several say
    hash,  -- the spec's 32-letter DAG hash; NULL for a package or a configuration
from compared
where other_side is null or side = 'a';
