-- summary_by_stack: a row per snapshot and stack: how many of the snapshot's packages it covers.
create view summary_by_stack as
with covered as (
    select
        coverage_by_stack.snapshot,
        coverage_by_stack.stack,
        count(*) as packages,
        cast(sum(coverage_by_stack.num_specs) as bigint) as specs,
    from coverage_by_stack
    group by
        coverage_by_stack.snapshot,
        coverage_by_stack.stack
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
    covered.stack,
    covered.packages,
    totals.packages_total,
    cast(covered.packages as double) / totals.packages_total as coverage,
    covered.specs,
from covered
inner join totals on covered.snapshot = totals.snapshot;
