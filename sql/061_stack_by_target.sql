-- stack_by_target: a row per snapshot, stack and target that meet in at least one spec.
-- root is no stack. The key of spec_stacks makes each of its rows another hash here.
create view stack_by_target as
select
    spec_stacks.snapshot,
    spec_stacks.stack,
    spec_stacks.target,
    count(distinct spec_stacks.package) as packages,
    count(*) as specs,
from spec_stacks
where spec_stacks.stack <> 'root'
group by
    spec_stacks.snapshot,
    spec_stacks.stack,
    spec_stacks.target;
