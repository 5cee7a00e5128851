-- key_is_unique: (snapshot, package, hash, stack) names one row of spec_stacks.
select
    snapshot,
    package,
    hash,
    stack,
    count(*) as num_rows,
from spec_stacks
group by snapshot, package, hash, stack
having count(*) > 1;
