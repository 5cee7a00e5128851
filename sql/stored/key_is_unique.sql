-- key_is_unique: (snapshot, package, hash, stack) names one row of spec_stacks.
-- Only a hash that is stored twice, or lists a stack twice, can break that.
with suspected as (
    select
        snapshot,
        hash,
    from stored_specs
    group by snapshot, hash
    having count(*) > 1 or max(array_length(stacks) - array_length(list_distinct(stacks))) > 0
)

select
    spec_stacks.snapshot,
    spec_stacks.package,
    spec_stacks.hash,
    spec_stacks.stack,
    count(*) as num_rows,
from spec_stacks
inner join suspected on spec_stacks.snapshot = suspected.snapshot and spec_stacks.hash = suspected.hash
group by all
having count(*) > 1;
