-- coverage_by_stack: a row per snapshot, package and stack with at least one spec; root is no stack.
-- The key of spec_stacks makes each of its rows another hash here.
create view coverage_by_stack as
select
    spec_stacks.snapshot,
    spec_stacks.package,
    spec_stacks.stack,
    count(*) as num_specs,
    list_sort(array_agg(distinct spec_stacks.version)) as versions,
    arg_max(spec_stacks.version, spec_stacks.version_key || ' ' || spec_stacks.version) as latest_version,
from spec_stacks
where spec_stacks.stack <> 'root'
group by
    spec_stacks.snapshot,
    spec_stacks.package,
    spec_stacks.stack;
