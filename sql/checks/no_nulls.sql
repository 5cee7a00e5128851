-- no_nulls: no NULL where a column may hold none, and no empty text where one names something.
select
    spec_stacks.snapshot,
    spec_stacks.package,
    spec_stacks.hash,
    spec_stacks.stack,
    spec_stacks.version,
    spec_stacks.version_key,
    spec_stacks.compiler,
    spec_stacks.compiler_name,
    spec_stacks.compiler_family,
    spec_stacks.compiler_raw,
    spec_stacks.os,
    spec_stacks.platform,
    spec_stacks.target,
    spec_stacks.variants,
    spec_stacks.source,
from spec_stacks
where
    spec_stacks.snapshot is null or spec_stacks.snapshot = ''
    or spec_stacks.package is null or spec_stacks.package = ''
    or spec_stacks.hash is null or spec_stacks.hash = ''
    or spec_stacks.stack is null or spec_stacks.stack = ''
    or spec_stacks.version is null or spec_stacks.version = ''
    or spec_stacks.version_key is null or spec_stacks.version_key = ''
    or spec_stacks.compiler_family is null or spec_stacks.compiler_family = ''
    or spec_stacks.compiler is null or spec_stacks.compiler = ''
    or spec_stacks.compiler_name is null or spec_stacks.compiler_name = ''
    or spec_stacks.compiler_raw is null or spec_stacks.compiler_raw = ''
    or spec_stacks.os is null or spec_stacks.os = ''
    or spec_stacks.platform is null or spec_stacks.platform = ''
    or spec_stacks.target is null or spec_stacks.target = ''
    or spec_stacks.variants is null
    or spec_stacks.source is null or spec_stacks.source = '';
