-- page_is_unique: a snapshot has one page per package.
select
    snapshot,
    package,
    count(*) as num_pages,
from pages
where package is not null
group by snapshot, package
having count(*) > 1;
