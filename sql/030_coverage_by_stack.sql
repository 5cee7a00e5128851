-- coverage_by_stack: a row per snapshot, package and stack with at least one spec; root is no stack.
-- The key of spec_stacks makes each of its rows another hash here.
create view coverage_by_stack as
with versions as (
    select
        spec_stacks.snapshot,
        spec_stacks.package,
        spec_stacks.stack,
        spec_stacks.version,
        spec_stacks.version_key,
        count(*) as num_specs,
    from spec_stacks
    where spec_stacks.stack <> 'root'
    group by
        spec_stacks.snapshot,
        spec_stacks.package,
        spec_stacks.stack,
        spec_stacks.version,
        spec_stacks.version_key
)

select
    versions.snapshot,
    versions.package,
    versions.stack,
    cast(sum(versions.num_specs) as bigint) as num_specs,
    list_sort(array_agg(versions.version)) as versions,
    arg_max(versions.version, versions.version_key || ' ' || versions.version) as latest_version,
from versions
group by
    versions.snapshot,
    versions.package,
    versions.stack;
