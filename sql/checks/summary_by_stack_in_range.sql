-- summary_by_stack_in_range: coverage lies between 0 and 1, and no part exceeds its whole.
select
    summary_by_stack.snapshot,
    summary_by_stack.stack,
    summary_by_stack.packages,
    summary_by_stack.packages_total,
    summary_by_stack.coverage,
    summary_by_stack.specs,
from summary_by_stack
where
    summary_by_stack.coverage is null
    or summary_by_stack.coverage not between 0 and 1
    or summary_by_stack.packages > summary_by_stack.packages_total
    or summary_by_stack.packages > summary_by_stack.specs;
