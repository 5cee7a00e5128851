-- missing_are_accounted_for: a spec of a stack has rows in missing_dependencies where it is not installable, and only there.
with failing as (
    select snapshot, stack, hash,
    from spec_stacks
    where installable = false
),

explained as (
    select distinct snapshot, stack, hash,
    from missing_dependencies
)

select
    coalesce(failing.snapshot, explained.snapshot) as snapshot,
    coalesce(failing.stack, explained.stack) as stack,
    coalesce(failing.hash, explained.hash) as hash,
    failing.hash is null as is_installable,
from failing
full join explained
    on failing.snapshot = explained.snapshot and failing.stack = explained.stack and failing.hash = explained.hash
where failing.hash is null or explained.hash is null;
