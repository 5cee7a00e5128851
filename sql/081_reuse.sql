-- reuse: a row per snapshot and package: how many stacks share its specs; root is no stack.
create view reuse as
select
    specs.snapshot,
    specs.package,
    count(*) as specs,
    cast(sum(array_length(specs.stacks)) as bigint) as memberships,
    count(case when array_length(specs.stacks) > 1 then 1 end) as shared_specs,
    cast(sum(array_length(specs.stacks)) as double) / count(*) as stacks_per_spec,
from specs
group by
    specs.snapshot,
    specs.package;
