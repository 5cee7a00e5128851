-- summary_by_target_in_range: coverage lies between 0 and 1, and no part exceeds its whole.
select
    summary_by_target.snapshot,
    summary_by_target.target,
    summary_by_target.packages,
    summary_by_target.packages_total,
    summary_by_target.coverage,
    summary_by_target.specs,
from summary_by_target
where
    summary_by_target.coverage is null
    or summary_by_target.coverage not between 0 and 1
    or summary_by_target.packages > summary_by_target.packages_total
    or summary_by_target.packages > summary_by_target.specs;
