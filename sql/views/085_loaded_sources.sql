-- loaded_sources: proof that what is not in the warehouse is not in the cache: a row per source that was loaded whole.
-- A page covers one package in every stack, an index one stack and every package in it; packages without
-- a page are in absences. A page with a rejected spec is not whole: what is missed might be that spec.
-- What is stale or shrunk (see sources) proves nothing either: it is of an earlier build.
create view loaded_sources as
with broken as (
    select distinct snapshot, path, stack,
    from rejects
    where specs is null or specs > 0
)

select
    pages.snapshot,
    pages.package,  -- package that the source lists; NULL where it lists all
    pages.stack,  -- stack that the source lists; NULL where it lists all
from pages
left join broken
    on
        pages.snapshot = broken.snapshot
        and pages.path = broken.path
        and coalesce(pages.stack, '') = coalesce(broken.stack, '')
where broken.path is null and pages.state = 'loaded';
