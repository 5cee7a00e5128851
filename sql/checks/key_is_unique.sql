-- key_is_unique: (snapshot, package, hash, stack) names one row of spec_stacks.
select
    spec_stacks.snapshot,
    spec_stacks.package,
    spec_stacks.hash,
    spec_stacks.stack,
    count(*) as num_rows,
from spec_stacks
group by
    spec_stacks.snapshot,
    spec_stacks.package,
    spec_stacks.hash,
    spec_stacks.stack
having count(*) > 1;
