-- specs: a row per snapshot and hash, the unit that coverage counts.
-- All rows of a spec in spec_stacks say the same but for the stack and the source, so any of them serves.
create view specs as
select
    spec_stacks.snapshot,
    any_value(spec_stacks.package) as package,
    spec_stacks.hash,
    any_value(spec_stacks.version) as version,
    any_value(spec_stacks.version_key) as version_key,
    any_value(spec_stacks.compiler) as compiler,
    any_value(spec_stacks.compiler_name) as compiler_name,
    any_value(spec_stacks.compiler_version) as compiler_version,
    any_value(spec_stacks.compiler_family) as compiler_family,
    any_value(spec_stacks.compiler_raw) as compiler_raw,
    any_value(spec_stacks.compilers) as compilers,
    any_value(spec_stacks.os) as os,
    any_value(spec_stacks.platform) as platform,
    any_value(spec_stacks.target) as target,
    any_value(spec_stacks.variants) as variants,
    any_value(spec_stacks.size_bytes) as size_bytes,
    any_value(spec_stacks.tarball_url) as tarball_url,
    any_value(spec_stacks.patches) as patches,
    any_value(spec_stacks.compiler_flags) as compiler_flags,
    any_value(spec_stacks.namespace) as namespace,
    any_value(spec_stacks.external) as external,
    min(spec_stacks.source) as source,
    list_sort(coalesce(array_agg(spec_stacks.stack) filter (where spec_stacks.stack <> 'root'), [])) as stacks,
    bool_or(spec_stacks.stack = 'root') as in_root,
from spec_stacks
group by
    spec_stacks.snapshot,
    spec_stacks.hash;
