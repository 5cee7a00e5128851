-- page_is_unique: a snapshot has one page per package.
select
    pages.snapshot,
    pages.package,
    count(*) as num_pages,
from pages
where pages.package is not null
group by
    pages.snapshot,
    pages.package
having count(*) > 1;
