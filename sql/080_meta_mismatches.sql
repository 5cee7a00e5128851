-- meta_mismatches: a row per field of a page's own meta (per stack for num_specs_by_stack) that its
-- specs do not bear out. Both sides are compared as JSON text, lists as sorted sets.
-- A field that meta lacks is no mismatch; a stack that num_specs_by_stack lacks counts as 0 there.
create view meta_mismatches as
with claimed as (
    select
        pages.snapshot,
        pages.package,
        unnest(pages.claims) as claim,
    from pages
),

said as (
    select
        claimed.snapshot,
        claimed.package,
        claimed.claim.field,
        claimed.claim.item,
        claimed.claim.said,
    from claimed
),

of_page as (
    select
        pages.snapshot,
        pages.package,
        count(distinct spec_stacks.hash) as num_specs,
        to_json(list_sort(coalesce(array_agg(distinct spec_stacks.compiler_raw) filter (where spec_stacks.hash is not null), []))) as compilers,
        to_json(list_sort(coalesce(array_agg(distinct spec_stacks.os) filter (where spec_stacks.hash is not null), []))) as oss,
        to_json(list_sort(coalesce(array_agg(distinct spec_stacks.platform) filter (where spec_stacks.hash is not null), []))) as platforms,
        to_json(list_sort(coalesce(array_agg(distinct spec_stacks.target) filter (where spec_stacks.hash is not null), []))) as targets,
        to_json(list_sort(coalesce(array_agg(distinct spec_stacks.version) filter (where spec_stacks.hash is not null), []))) as versions,
        to_json(list_sort(coalesce(array_agg(distinct spec_stacks.stack) filter (where spec_stacks.hash is not null), []))) as stacks,
    from pages
    left join spec_stacks on pages.snapshot = spec_stacks.snapshot and pages.package = spec_stacks.package
    group by
        pages.snapshot,
        pages.package
),

of_stack as (
    select
        spec_stacks.snapshot,
        spec_stacks.package,
        spec_stacks.stack,
        count(*) as num_specs,
    from spec_stacks
    group by
        spec_stacks.snapshot,
        spec_stacks.package,
        spec_stacks.stack
),

by_stack as (
    select
        said.snapshot,
        said.package,
        said.item as stack,
        said.said,
    from said
    where said.field = 'num_specs_by_stack'
),

-- The pages whose meta counts by stack: only there may a stack be missing.
counting as (
    select distinct
        by_stack.snapshot,
        by_stack.package,
    from by_stack
),

found_by_stack as (
    select
        of_stack.snapshot,
        of_stack.package,
        of_stack.stack,
        of_stack.num_specs,
    from of_stack
    inner join counting on of_stack.snapshot = counting.snapshot and of_stack.package = counting.package
),

stack_mismatches as (
    select
        coalesce(by_stack.snapshot, found_by_stack.snapshot) as snapshot,
        coalesce(by_stack.package, found_by_stack.package) as package,
        coalesce(by_stack.stack, found_by_stack.stack) as stack,
        by_stack.said,
        cast(coalesce(found_by_stack.num_specs, 0) as varchar) as found,
    from by_stack
    full outer join found_by_stack
        on
            by_stack.snapshot = found_by_stack.snapshot
            and by_stack.package = found_by_stack.package
            and by_stack.stack = found_by_stack.stack
),

page_mismatches as (
    select
        said.snapshot,
        said.package,
        said.field,
        said.said,
        case said.field
            when 'num_specs' then cast(of_page.num_specs as varchar)
            when 'compilers' then cast(of_page.compilers as varchar)
            when 'oss' then cast(of_page.oss as varchar)
            when 'platforms' then cast(of_page.platforms as varchar)
            when 'targets' then cast(of_page.targets as varchar)
            when 'versions' then cast(of_page.versions as varchar)
            when 'stacks' then cast(of_page.stacks as varchar)
        end as found,
    from said
    inner join of_page on said.snapshot = of_page.snapshot and said.package = of_page.package
    where said.field <> 'num_specs_by_stack'
)

select
    page_mismatches.snapshot,
    page_mismatches.package,
    page_mismatches.field,
    page_mismatches.said,
    page_mismatches.found,
from page_mismatches
where page_mismatches.said <> page_mismatches.found
union all
select
    stack_mismatches.snapshot,
    stack_mismatches.package,
    'num_specs_by_stack' as field,
    stack_mismatches.stack || ': ' || stack_mismatches.said as said,
    stack_mismatches.stack || ': ' || stack_mismatches.found as found,
from stack_mismatches
where coalesce(stack_mismatches.said, '0') <> stack_mismatches.found;
