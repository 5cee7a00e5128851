-- loaded_sources: a row per source that was loaded whole: a page tells of one package in every stack, an
-- index of one stack and every package in it.
-- What it does not have is not in the cache; of packages without a page tells absences. A page
-- with a rejected spec is not whole: what is missed might be the spec that was rejected.
create view loaded_sources as
with broken as (
    select distinct
        rejects.snapshot,
        rejects.path,
        rejects.stack,
    from rejects
    where rejects.specs is null or rejects.specs > 0
)

select
    pages.snapshot,
    pages.package,
    pages.stack,
from pages
left join broken
    on
        pages.snapshot = broken.snapshot
        and pages.path = broken.path
        and coalesce(pages.stack, '') = coalesce(broken.stack, '')
where broken.path is null;
