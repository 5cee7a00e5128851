-- coverage_by_compiler: a row per snapshot, package and compiler with at least one spec.
-- Counts hashes, however many stacks hold them; specs that stand in root alone count too.
create view coverage_by_compiler as
with versions as (
    select
        specs.snapshot,
        specs.package,
        specs.compiler,
        specs.version,
        specs.version_key,
        count(*) as num_specs,
    from specs
    group by
        specs.snapshot,
        specs.package,
        specs.compiler,
        specs.version,
        specs.version_key
)

select
    versions.snapshot,
    versions.package,
    versions.compiler,
    cast(sum(versions.num_specs) as bigint) as num_specs,
    list_sort(array_agg(versions.version)) as versions,
    arg_max(versions.version, versions.version_key || ' ' || versions.version) as latest_version,
from versions
group by
    versions.snapshot,
    versions.package,
    versions.compiler;
