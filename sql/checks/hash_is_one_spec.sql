-- hash_is_one_spec: within a snapshot a hash is one spec of one package, the same in every stack.
with described as (
    select
        spec_stacks.snapshot,
        spec_stacks.hash,
        spec_stacks.package,
        -- Distinct rows of so many columns would take three times as long as their digests.
        -- Maps are digested as text, for Spark does not digest them otherwise.
        hash(
            spec_stacks.package,
            spec_stacks.version,
            spec_stacks.version_key,
            spec_stacks.compiler,
            spec_stacks.compiler_name,
            spec_stacks.compiler_version,
            spec_stacks.compiler_family,
            spec_stacks.compiler_raw,
            cast(spec_stacks.compilers as varchar),
            spec_stacks.os,
            spec_stacks.platform,
            spec_stacks.target,
            spec_stacks.variants,
            spec_stacks.size_bytes,
            spec_stacks.tarball_url,
            spec_stacks.patches,
            cast(spec_stacks.compiler_flags as varchar),
            spec_stacks.namespace,
            spec_stacks.external
        ) as digest,
    from spec_stacks
)

select
    described.snapshot,
    described.hash,
    min(described.package) as package,
    max(described.package) as other_package,
    count(*) as num_rows,
from described
group by
    described.snapshot,
    described.hash
having min(described.digest) <> max(described.digest);
