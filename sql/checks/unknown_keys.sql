-- unknown_keys: the specs of every page have no key that the warehouse does not know. (warning)
select
    pages.path,
    pages.unknown_keys,
from pages
where array_length(pages.unknown_keys) > 0;
