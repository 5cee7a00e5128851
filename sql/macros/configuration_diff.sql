-- configuration_diff: configurations that one snapshot has and another has not: a row per configuration.
-- A rebuild changes every hash and no configuration. Spack before 1.0 gave a compiler to packages without
-- compiled code too: a configuration that differs from another's by having the compiler none is the same.
-- A spec without a namespace has the package's only one of both snapshots;
-- where they have none or several, NULL is one more.
-- Of what the other's sources did not load whole, nothing is listed: see loaded_sources and absences.
--   from_snapshot
--   to_snapshot
with {% include 'doubted.sql' %},

{% include 'named.sql' %},

held as (
    select
        sides.change, sides.opposite, specs.package, specs.version, specs.compiler_family, specs.os, specs.platform,
        specs.target,
        variant_sets.variants_key as variants,
        coalesce(specs.namespace, named.namespace) as namespace,
        count(*) as specs,
        array_agg(specs.stacks) as stacks,
        bool_or(doubted.hash is not null) as doubted,
    from sides
    inner join specs on sides.snapshot = specs.snapshot
    inner join variant_sets on specs.variants = variant_sets.variants
    left join named on specs.package = named.package
    left join doubted on sides.change = doubted.change and specs.hash = doubted.hash
    where specs.snapshot in ({{ from_snapshot }}, {{ to_snapshot }})
    group by
        sides.change, sides.opposite, specs.package, specs.version, specs.compiler_family, specs.os, specs.platform,
        specs.target, variant_sets.variants_key, coalesce(specs.namespace, named.namespace)
),

-- Configurations that differ in their compiler alone, together: not compared each with each.
alike as (
    select
        change, package, version, os, platform, target, variants, namespace,
        bool_or(compiler_family = 'none') as without_compiler,
    from held
    group by change, package, version, os, platform, target, variants, namespace
)

select
    held.change,
    held.package,
    held.version,
    held.compiler_family,
    held.os,
    held.platform,
    held.target,
    held.variants,  -- variants by name, one spelling of each, e.g. build_type=Release +mpi
    held.specs,  -- distinct hashes of the configuration, root-only ones included
    list_sort(list_distinct(flatten(held.stacks))) as stacks,  -- stacks that hold any of them, in text order, without root
    held.namespace,  -- repository of the package, e.g. builtin; NULL where no source or several say
from held
left join held as others
    on
        held.opposite = others.change
        and held.package = others.package
        and held.version = others.version
        and held.compiler_family = others.compiler_family
        and held.os = others.os
        and held.platform = others.platform
        and held.target = others.target
        and held.variants = others.variants
        and coalesce(held.namespace, '') = coalesce(others.namespace, '')
left join alike
    on
        held.opposite = alike.change
        and held.package = alike.package
        and held.version = alike.version
        and held.os = alike.os
        and held.platform = alike.platform
        and held.target = alike.target
        and held.variants = alike.variants
        and coalesce(held.namespace, '') = coalesce(alike.namespace, '')
where
    not held.doubted
    and others.package is null
    and (alike.package is null or not (held.compiler_family = 'none' or alike.without_compiler));
