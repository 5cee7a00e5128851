-- root_only_specs: a row per snapshot and hash that stands in root and in no stack: what a stack
-- dropped and the union mirror has not pruned yet, or what a removed stack has left behind.
create view root_only_specs as
select
    specs.snapshot,
    specs.package,
    specs.hash,
    specs.version,
    specs.version_key,
    specs.compiler,
    specs.compiler_name,
    specs.compiler_version,
    specs.compiler_family,
    specs.compiler_raw,
    specs.compilers,
    specs.os,
    specs.platform,
    specs.target,
    specs.variants,
    specs.size_bytes,
    specs.tarball_url,
    specs.patches,
    specs.compiler_flags,
    specs.namespace,
    specs.external,
    specs.source,
from specs
where specs.in_root and array_length(specs.stacks) = 0;
