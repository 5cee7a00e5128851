-- compiler_by_target: a row per snapshot, compiler and target that meet in at least one spec.
-- Specs that stand in root alone count too.
create view compiler_by_target as
select
    spec_stacks.snapshot,
    spec_stacks.compiler,
    spec_stacks.target,
    count(distinct spec_stacks.package) as packages,
    count(distinct spec_stacks.hash) as specs,
from spec_stacks
group by
    spec_stacks.snapshot,
    spec_stacks.compiler,
    spec_stacks.target;
