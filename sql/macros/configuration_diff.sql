-- configuration_diff: configurations that one snapshot has and another has not: a row per configuration.
-- A rebuild changes every hash and no configuration. Spack before 1.0 gave a compiler to packages without
-- compiled code too: a configuration that differs from another's by having the compiler none is the same.
-- A spec without a namespace has the package's only one of both snapshots;
-- where they have none or several, NULL is one more.
-- Of what the other's sources did not load whole, nothing is listed: see loaded_sources and absences.
--   from_snapshot
--   to_snapshot
with sides as (
    select
        'lost' as change,
        'gained' as opposite,
        {{ from_snapshot }} as snapshot,
        {{ to_snapshot }} as other,
    union all
    select
        'gained' as change,
        'lost' as opposite,
        {{ to_snapshot }} as snapshot,
        {{ from_snapshot }} as other,
),

proven as (
    select sides.change, loaded_sources.package, loaded_sources.stack,
    from sides
    inner join loaded_sources on sides.other = loaded_sources.snapshot
    union all
    select
        sides.change, absences.package,
        cast(null as varchar) as stack,
    from sides
    inner join absences on sides.other = absences.snapshot and sides.snapshot = absences.other
),

named as (
    select
        package,
        min(namespace) as namespace,
    from specs
    where snapshot in ({{ from_snapshot }}, {{ to_snapshot }}) and namespace is not null
    group by package
    having min(namespace) = max(namespace)
),

held as (
    select
        sides.change, sides.opposite, spec_stacks.package, spec_stacks.version, spec_stacks.compiler_family,
        spec_stacks.os, spec_stacks.platform, spec_stacks.target,
        variant_sets.variants_key as variants,
        coalesce(spec_stacks.namespace, named.namespace) as namespace,
        count(distinct spec_stacks.hash) as specs,
        list_sort(coalesce(array_agg(distinct spec_stacks.stack) filter (where spec_stacks.stack <> 'root'), [])) as stacks,
        bool_or(page.change is null and index.change is null) as doubted,
    from sides
    inner join spec_stacks on sides.snapshot = spec_stacks.snapshot
    inner join variant_sets on spec_stacks.variants = variant_sets.variants
    left join named on spec_stacks.package = named.package
    left join proven as page
        on sides.change = page.change and spec_stacks.package = page.package and page.stack is null
    left join proven as index
        on sides.change = index.change and spec_stacks.stack = index.stack and index.package is null
    where spec_stacks.snapshot in ({{ from_snapshot }}, {{ to_snapshot }})
    group by
        sides.change, sides.opposite, spec_stacks.package, spec_stacks.version, spec_stacks.compiler_family,
        spec_stacks.os, spec_stacks.platform, spec_stacks.target, variant_sets.variants_key,
        coalesce(spec_stacks.namespace, named.namespace)
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
    held.stacks,  -- stacks that hold any of them, in text order, without root
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
