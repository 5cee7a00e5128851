-- hash_is_one_spec: within a snapshot a hash is one spec of one package, the same in every stack.
with described as (
    select distinct
        spec_stacks.snapshot,
        spec_stacks.package,
        spec_stacks.hash,
        spec_stacks.version,
        spec_stacks.version_key,
        spec_stacks.compiler,
        spec_stacks.compiler_name,
        spec_stacks.compiler_version,
        spec_stacks.compiler_family,
        spec_stacks.compiler_raw,
        spec_stacks.compilers,
        spec_stacks.os,
        spec_stacks.platform,
        spec_stacks.target,
        spec_stacks.variants,
        spec_stacks.size_bytes,
        spec_stacks.tarball_url,
        spec_stacks.patches,
        spec_stacks.compiler_flags,
        spec_stacks.namespace,
        spec_stacks.external,
    from spec_stacks
)

select
    described.snapshot,
    described.hash,
    min(described.package) as package,
    max(described.package) as other_package,
    count(*) as num_specs,
from described
group by
    described.snapshot,
    described.hash
having count(*) > 1;
