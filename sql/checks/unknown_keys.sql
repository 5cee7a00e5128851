-- unknown_keys: the specs of every page have no key that the warehouse does not know. (warning)
select
    path,
    unknown_keys,
from pages
where array_length(unknown_keys) > 0;
