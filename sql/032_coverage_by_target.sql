-- coverage_by_target: a row per snapshot, package and target with at least one spec.
-- Counts hashes, however many stacks hold them; specs that stand in root alone count too.
create view coverage_by_target as
select
    spec_stacks.snapshot,
    spec_stacks.package,
    spec_stacks.target,
    count(distinct spec_stacks.hash) as num_specs,
    list_sort(array_agg(distinct spec_stacks.version)) as versions,
    arg_max(spec_stacks.version, spec_stacks.version_key || ' ' || spec_stacks.version) as latest_version,
from spec_stacks
group by
    spec_stacks.snapshot,
    spec_stacks.package,
    spec_stacks.target;
