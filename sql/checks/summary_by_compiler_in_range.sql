-- summary_by_compiler_in_range: coverage lies between 0 and 1, and no part exceeds its whole.
select
    summary_by_compiler.snapshot,
    summary_by_compiler.compiler,
    summary_by_compiler.packages,
    summary_by_compiler.packages_total,
    summary_by_compiler.coverage,
    summary_by_compiler.specs,
from summary_by_compiler
where
    summary_by_compiler.coverage is null
    or summary_by_compiler.coverage not between 0 and 1
    or summary_by_compiler.packages > summary_by_compiler.packages_total
    or summary_by_compiler.packages > summary_by_compiler.specs;
