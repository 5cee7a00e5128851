-- compiler_by_target: a row per snapshot, compiler and target that meet in at least one spec.
-- Specs that stand in root alone count too.
create view compiler_by_target as
select
    specs.snapshot,
    specs.compiler,
    specs.target,
    count(distinct specs.package) as packages,
    count(*) as specs,
from specs
group by
    specs.snapshot,
    specs.compiler,
    specs.target;
