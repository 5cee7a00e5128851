-- pages_are_accounted_for: each page's specs and rejects are the rows that the tables hold.
with loaded as (
    select
        spec_stacks.snapshot,
        spec_stacks.package,
        count(distinct spec_stacks.hash) as specs,
    from spec_stacks
    group by
        spec_stacks.snapshot,
        spec_stacks.package
),

rejected as (
    select
        rejects.snapshot,
        rejects.package,
        count(*) as rejects,
    from rejects
    group by
        rejects.snapshot,
        rejects.package
)

select
    pages.snapshot,
    pages.package,
    pages.specs,
    loaded.specs as specs_found,
    pages.rejects,
    rejected.rejects as rejects_found,
from pages
left join loaded on pages.snapshot = loaded.snapshot and pages.package = loaded.package
left join rejected on pages.snapshot = rejected.snapshot and pages.package = rejected.package
where
    pages.specs <> coalesce(loaded.specs, 0)
    or pages.rejects <> coalesce(rejected.rejects, 0);
