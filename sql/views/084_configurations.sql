-- configurations: what a user tells specs apart by: a row per snapshot and configuration.
-- Compilers go by their family, variants by what they say and not by how that is spelt.
create view configurations as
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
from spec_stacks
inner join variant_sets on spec_stacks.variants = variant_sets.variants
group by
    spec_stacks.snapshot,
    spec_stacks.package,
    spec_stacks.version,
    spec_stacks.compiler_family,
    spec_stacks.os,
    spec_stacks.platform,
    spec_stacks.target,
    variant_sets.variants_key;
