-- configurations: what distinguishes specs for a user: a row per snapshot and configuration.
-- Compilers go by their family, variants by what they say and not by how that is spelt. A spec without a namespace
-- has the package's only one of the snapshot; where that has none or several, NULL is one more.
create view configurations as
with named as (
    select
        snapshot, package,
        min(namespace) as namespace,
    from specs
    where namespace is not null
    group by snapshot, package
    having min(namespace) = max(namespace)
)

select
    spec_stacks.snapshot,
    spec_stacks.package,
    spec_stacks.version,
    spec_stacks.compiler_family,
    spec_stacks.os,
    spec_stacks.platform,
    spec_stacks.target,
    variant_sets.variants_key as variants,  -- variants by name, one spelling of each, e.g. build_type=Release +mpi
    count(distinct spec_stacks.hash) as specs,  -- distinct hashes of the configuration, root-only ones included
    -- stacks that hold any of them, in text order, without root
    list_sort(coalesce(array_agg(distinct spec_stacks.stack) filter (where spec_stacks.stack <> 'root'), [])) as stacks,
    -- repository of the package, e.g. builtin; NULL where no source or several say
    coalesce(spec_stacks.namespace, named.namespace) as namespace,
from spec_stacks
inner join variant_sets on spec_stacks.variants = variant_sets.variants
left join named on spec_stacks.snapshot = named.snapshot and spec_stacks.package = named.package
group by
    spec_stacks.snapshot, spec_stacks.package, spec_stacks.version, spec_stacks.compiler_family,
    spec_stacks.os, spec_stacks.platform, spec_stacks.target, variant_sets.variants_key,
    coalesce(spec_stacks.namespace, named.namespace);
