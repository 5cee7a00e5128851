-- absences: packages without a page where one would be: a row per two snapshots and package that the one provably lacks.
-- A site has no page of a package that is in no stack, so a page that is not there says something, but
-- only where the site was loaded: the snapshot must have loaded pages of at least half of the other's packages,
-- and no file that was rejected may be the page. A site names its files by snapshot and package: a rejected
-- file elsewhere is another's page; where the other's page is not named so, any rejected file may be it.
create view absences as
with shared as (
    select
        here.snapshot,
        there.snapshot as other,
        count(*) as pages,
    from pages as here
    inner join pages as there on here.package = there.package
    where here.state = 'loaded'
    group by here.snapshot, there.snapshot
),

sizes as (
    select
        snapshot,
        count(*) as pages,
    from pages
    where package is not null
    group by snapshot
),

absent as (
    select
        shared.snapshot, shared.other, there.package,
        '/' || there.path as path,
        replace('/' || there.path, '/' || shared.other || '/', '/' || shared.snapshot || '/') as expected_path,
    from shared
    inner join sizes on shared.other = sizes.snapshot
    inner join pages as there on shared.other = there.snapshot
    left join pages as here on shared.snapshot = here.snapshot and there.package = here.package
    where shared.pages * 2 >= sizes.pages and there.package is not null and here.package is null
),

torn as (
    select
        rejects.snapshot, rejects.package,
        '/' || rejects.path as path,
    from rejects
    left join pages on rejects.path = pages.path
    where pages.path is null
),

doubted as (
    select absent.snapshot, absent.other, absent.package,
    from absent
    inner join torn
        on
            (absent.snapshot = torn.snapshot and absent.package = coalesce(torn.package, absent.package))
            or (
                torn.snapshot is null
                and (absent.expected_path = absent.path or absent.expected_path = torn.path)
            )
)

select
    absent.snapshot,  -- snapshot that has no page of the package, and pages of most others
    absent.other,  -- snapshot that has a page of the package
    absent.package,
from absent
left join doubted
    on
        absent.snapshot = doubted.snapshot
        and absent.other = doubted.other
        and absent.package = doubted.package
where doubted.package is null;
