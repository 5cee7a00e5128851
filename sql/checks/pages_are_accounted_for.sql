-- pages_are_accounted_for: the specs and rejects of each page and index are the rows that the tables hold.
with loaded as (
    select
        pages.snapshot, pages.path, pages.stack,
        count(distinct spec_stacks.hash) as specs,
    from pages
    inner join spec_stacks
        on
            pages.snapshot = spec_stacks.snapshot
            and pages.path = spec_stacks.source
            and coalesce(pages.stack, spec_stacks.stack) = spec_stacks.stack
    group by pages.snapshot, pages.path, pages.stack
),

-- A file that is rejected whole gave no rows: what stays of it is of an earlier build.
rejected as (
    select
        snapshot, path, stack,
        count(*) as rejects,
    from rejects
    where place <> 'file'
    group by snapshot, path, stack
)

select
    pages.snapshot, pages.path, pages.specs,
    loaded.specs as specs_found,
    pages.rejects,
    rejected.rejects as rejects_found,
    pages.records,
from pages
left join loaded
    on
        pages.snapshot = loaded.snapshot
        and pages.path = loaded.path
        and coalesce(pages.stack, '') = coalesce(loaded.stack, '')
left join rejected
    on
        pages.snapshot = rejected.snapshot
        and pages.path = rejected.path
        and coalesce(pages.stack, '') = coalesce(rejected.stack, '')
where
    pages.specs <> coalesce(loaded.specs, 0)
    or pages.rejects <> coalesce(rejected.rejects, 0)
    or pages.records <> pages.specs + pages.rejects + pages.externals + pages.holes + pages.repeated;
