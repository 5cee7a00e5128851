-- meta_mismatches: every page's own meta agrees with its specs. (warning)
select
    snapshot,
    package,
    field,
    said,
    found,
from meta_mismatches;
