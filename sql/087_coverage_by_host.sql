-- coverage_by_host: a row per snapshot, package and well-known host that can use at least one spec, as
-- far as its microarchitecture tells: specs for its platform and for its target or an ancestor of it.
-- A target that archspec does not know is counted for no host.
create view coverage_by_host as
with counted as (
    select
        spec_stacks.snapshot,
        spec_stacks.package,
        spec_stacks.platform,
        spec_stacks.target,
        count(distinct spec_stacks.hash) as num_specs,
    from spec_stacks
    group by
        spec_stacks.snapshot,
        spec_stacks.package,
        spec_stacks.platform,
        spec_stacks.target
)

select
    counted.snapshot,
    counted.package,
    hosts.target as host_target,
    cast(sum(counted.num_specs) as bigint) as num_specs,
from counted
inner join targets on counted.target = targets.ancestor
inner join hosts on targets.target = hosts.target and counted.platform = hosts.platform
group by
    counted.snapshot,
    counted.package,
    hosts.target;
