-- stacks_are_as_tagged: each snapshot has the stacks that the site's _data/tags.yaml lists for it. (warning of all snapshots)
-- A snapshot that it does not list, and one that the warehouse does not hold, are not compared.
with held as (
    select distinct spec_stacks.snapshot, spec_stacks.stack,
    from spec_stacks
    semi join tags on spec_stacks.snapshot = tags.snapshot
    where spec_stacks.stack <> 'root'
),

tagged as (
    select tags.snapshot, tags.stack,
    from tags
    semi join pages on tags.snapshot = pages.snapshot
    where tags.stack <> 'root'
)

select
    coalesce(held.snapshot, tagged.snapshot) as snapshot,
    coalesce(held.stack, tagged.stack) as stack,
    case when tagged.stack is null then 'not tagged' else 'tagged, and no spec of it is here' end as found,
from held
full outer join tagged on held.snapshot = tagged.snapshot and held.stack = tagged.stack
where held.stack is null or tagged.stack is null
order by 1, 2;
