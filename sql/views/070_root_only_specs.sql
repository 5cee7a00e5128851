-- root_only_specs: a row per snapshot and hash that stands in root and in no stack.
-- That is what a stack dropped and the union mirror has not pruned yet, or what a removed stack has left behind.
create view root_only_specs as
select
    snapshot,
    package,
    hash,
    version,
    version_key,
    compiler,
    compiler_name,
    compiler_version,
    compiler_family,
    compiler_raw,
    compilers,
    os,
    platform,
    target,
    variants,
    size_bytes,
    tarball_url,
    patches,
    compiler_flags,
    namespace,
    external,
    source,
from specs
where in_root and array_length(stacks) = 0;
