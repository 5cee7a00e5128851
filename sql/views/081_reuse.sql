-- reuse: how many stacks share the specs of each package: a row per snapshot and package.
create view reuse as
select
    snapshot,
    package,
    count(*) as specs,  -- distinct hashes, root-only ones included
    -- specs counted once for each stack that holds them, root left out
    cast(sum(array_length(stacks)) as bigint) as memberships,
    -- distinct hashes that two or more stacks hold
    count(case when array_length(stacks) > 1 then 1 end) as shared_specs,
    cast(sum(array_length(stacks)) as double) / count(*) as stacks_per_spec,  -- memberships / specs
from specs
group by snapshot, package;
