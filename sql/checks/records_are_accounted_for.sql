-- records_are_accounted_for: the externals and holes of each index are rows of the table records.
with counted as (
    select
        snapshot, stack, source,
        sum(case when kind = 'external' then 1 else 0 end) as externals,
        sum(case when kind = 'hole' then 1 else 0 end) as holes,
    from records
    group by snapshot, stack, source
),

listed as (
    -- Two sources may hold an index of the same name.
    select
        snapshot, stack, path,
        sum(externals) as externals,
        sum(holes) as holes,
    from pages
    where stack is not null
    group by snapshot, stack, path
)

-- What stays of a warehouse of version 0.1.0, which counted them only, has no rows at all.
select
    counted.snapshot,
    counted.stack,
    counted.source as path,
    listed.externals,
    counted.externals as externals_found,
    listed.holes,
    counted.holes as holes_found,
from counted
left join listed
    on counted.snapshot = listed.snapshot and counted.stack = listed.stack and counted.source = listed.path
where
    coalesce(listed.externals, 0) <> counted.externals
    or coalesce(listed.holes, 0) <> counted.holes;
