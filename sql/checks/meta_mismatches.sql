-- meta_mismatches: every page's own meta agrees with its specs. (warning)
select
    meta_mismatches.snapshot,
    meta_mismatches.package,
    meta_mismatches.field,
    meta_mismatches.said,
    meta_mismatches.found,
from meta_mismatches;
