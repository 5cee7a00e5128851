-- summary_by_compiler: a row per snapshot and compiler: how many of the snapshot's packages it covers.
create view summary_by_compiler as
with covered as (
    select
        coverage_by_compiler.snapshot,
        coverage_by_compiler.compiler,
        count(*) as packages,
        cast(sum(coverage_by_compiler.num_specs) as bigint) as specs,
    from coverage_by_compiler
    group by
        coverage_by_compiler.snapshot,
        coverage_by_compiler.compiler
),

totals as (
    select
        spec_stacks.snapshot,
        count(distinct spec_stacks.package) as packages_total,
    from spec_stacks
    group by spec_stacks.snapshot
)

select
    covered.snapshot,
    covered.compiler,
    covered.packages,
    totals.packages_total,
    cast(covered.packages as double) / totals.packages_total as coverage,
    covered.specs,
from covered
inner join totals on covered.snapshot = totals.snapshot;
