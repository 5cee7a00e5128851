-- specs: a row per snapshot and hash: the spec, and the stacks that hold it.
-- This is the unit that coverage counts. All rows of a spec in spec_stacks say the same but for the stack, the
-- source and whether it is installable from there, so any of them serves; of sizes, which stacks may have several of, it
-- is the smallest.
create view specs as
select
    snapshot,
    any_value(package) as package,
    hash,
    any_value(version) as version,
    any_value(version_key) as version_key,
    any_value(compiler) as compiler,
    any_value(compiler_name) as compiler_name,
    any_value(compiler_version) as compiler_version,
    any_value(compiler_family) as compiler_family,
    any_value(compiler_raw) as compiler_raw,
    any_value(compilers) as compilers,
    any_value(os) as os,
    any_value(platform) as platform,
    any_value(target) as target,
    any_value(variants) as variants,
    min(size_bytes) as size_bytes,
    any_value(tarball_url) as tarball_url,
    any_value(patches) as patches,
    any_value(compiler_flags) as compiler_flags,
    any_value(namespace) as namespace,
    any_value(external) as external,
    min(source) as source,
    list_sort(coalesce(array_agg(stack) filter (where stack <> 'root'), [])) as stacks,
    bool_or(stack = 'root') as in_root,  -- whether the root mirror holds it: the spec is published
    any_value(libc) as libc,
    any_value(libc_version) as libc_version,
    any_value(libc_path) as libc_path,
    any_value(libc_known) as libc_known,
    any_value(package_hash) as package_hash,
    any_value(spliced_from) as spliced_from,
    -- whether it installs without building from any of its stacks, or from root; NULL where its sources do not say,
    -- as pages do not
    bool_or(installable) as installable,
from spec_stacks
group by snapshot, hash;
