-- summary_by_compiler: a row per snapshot and compiler: how many of the snapshot's packages it covers.
-- A package without compiled code lacks no compiler: a compiler is measured by the packages that have a
-- spec with one. none is no compiler: its row says how many of all packages have a spec without.
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
        count(distinct case when spec_stacks.compiler <> 'none' then spec_stacks.package end) as packages_compiled,
    from spec_stacks
    group by spec_stacks.snapshot
)

select
    covered.snapshot,
    covered.compiler,
    covered.packages,
    case when covered.compiler = 'none' then totals.packages_total else totals.packages_compiled end as packages_total,
    cast(covered.packages as double)
    / case when covered.compiler = 'none' then totals.packages_total else totals.packages_compiled end as coverage,
    covered.specs,
from covered
inner join totals on covered.snapshot = totals.snapshot;
