-- coverage_by_host: what each of the well-known hosts can use, whatever its libc: a row per snapshot, package and
-- host with at least one spec.
-- This goes by the microarchitecture alone. A target that archspec does not know is counted for no host.
create view coverage_by_host as
with counted as (
    select
        snapshot, package, platform, target,
        count(*) as num_specs,
    from specs
    group by snapshot, package, platform, target
)

select
    counted.snapshot,
    counted.package,
    hosts.target as host_target,  -- microarchitecture of the host: a target of the table hosts
    -- distinct hashes for its target or an ancestor, on its platform
    cast(sum(counted.num_specs) as bigint) as num_specs,
from counted
inner join targets on counted.target = targets.ancestor
inner join hosts on targets.target = hosts.target and counted.platform = hosts.platform
group by counted.snapshot, counted.package, hosts.target;
