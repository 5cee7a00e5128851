-- meta_mismatches: a row per field of a page's own meta (per stack for num_specs_by_stack) that its
-- specs do not bear out. Lists are compared as sets. A field that meta lacks is no mismatch; a stack
-- that num_specs_by_stack lacks counts as 0 there; a field of a wrong type agrees with nothing.
create view meta_mismatches as
with described as (
    select
        specs.snapshot,
        specs.package,
        specs.compiler_raw,
        specs.os,
        specs.platform,
        specs.target,
        specs.version,
        count(*) as num_specs,
    from specs
    group by
        specs.snapshot,
        specs.package,
        specs.compiler_raw,
        specs.os,
        specs.platform,
        specs.target,
        specs.version
),

found as (
    select
        described.snapshot,
        described.package,
        cast(sum(described.num_specs) as bigint) as num_specs,
        list_sort(list_distinct(array_agg(described.compiler_raw))) as compilers,
        list_sort(list_distinct(array_agg(described.os))) as oss,
        list_sort(list_distinct(array_agg(described.platform))) as platforms,
        list_sort(list_distinct(array_agg(described.target))) as targets,
        list_sort(list_distinct(array_agg(described.version))) as versions,
    from described
    group by
        described.snapshot,
        described.package
),

found_stacks as (
    select
        spec_stacks.snapshot,
        spec_stacks.package,
        list_sort(array_agg(distinct spec_stacks.stack)) as stacks,
    from spec_stacks
    group by
        spec_stacks.snapshot,
        spec_stacks.package
),

-- Each page's fields beside what was found; a page without specs has found nothing.
compared as (
    select
        pages.snapshot,
        pages.package,
        pages.meta_num_specs as said_num_specs,
        coalesce(found.num_specs, 0) as found_num_specs,
        pages.meta_compilers as said_compilers,
        coalesce(found.compilers, []) as found_compilers,
        pages.meta_oss as said_oss,
        coalesce(found.oss, []) as found_oss,
        pages.meta_platforms as said_platforms,
        coalesce(found.platforms, []) as found_platforms,
        pages.meta_targets as said_targets,
        coalesce(found.targets, []) as found_targets,
        pages.meta_versions as said_versions,
        coalesce(found.versions, []) as found_versions,
        pages.meta_stacks as said_stacks,
        coalesce(found_stacks.stacks, []) as found_stacks,
    from pages
    left join found on pages.snapshot = found.snapshot and pages.package = found.package
    left join found_stacks on pages.snapshot = found_stacks.snapshot and pages.package = found_stacks.package
),

counts as (
    select
        pages.snapshot,
        pages.package,
        unnest(map_entries(pages.meta_num_specs_by_stack)) as of_stack,
    from pages
),

said_by_stack as (
    select
        counts.snapshot,
        counts.package,
        counts.of_stack.key as stack,
        counts.of_stack.value as num_specs,
    from counts
),

found_by_stack as (
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

-- A page without those counts says nothing of its stacks.
expected_by_stack as (
    select
        found_by_stack.snapshot,
        found_by_stack.package,
        found_by_stack.stack,
        found_by_stack.num_specs,
    from found_by_stack
    inner join pages on found_by_stack.snapshot = pages.snapshot and found_by_stack.package = pages.package
    where pages.meta_num_specs_by_stack is not null
),

compared_by_stack as (
    select
        coalesce(said_by_stack.snapshot, expected_by_stack.snapshot) as snapshot,
        coalesce(said_by_stack.package, expected_by_stack.package) as package,
        coalesce(said_by_stack.stack, expected_by_stack.stack) as stack,
        coalesce(said_by_stack.num_specs, 0) as said,
        coalesce(expected_by_stack.num_specs, 0) as found,
    from said_by_stack
    full outer join expected_by_stack
        on
            said_by_stack.snapshot = expected_by_stack.snapshot
            and said_by_stack.package = expected_by_stack.package
            and said_by_stack.stack = expected_by_stack.stack
)

select
    compared.snapshot,
    compared.package,
    'num_specs' as field,
    cast(compared.said_num_specs as varchar) as said,
    cast(compared.found_num_specs as varchar) as found,
from compared
where compared.said_num_specs <> compared.found_num_specs
union all
select
    compared_by_stack.snapshot,
    compared_by_stack.package,
    'num_specs_by_stack' as field,
    compared_by_stack.stack || ': ' || cast(compared_by_stack.said as varchar) as said,
    compared_by_stack.stack || ': ' || cast(compared_by_stack.found as varchar) as found,
from compared_by_stack
where compared_by_stack.said <> compared_by_stack.found
union all
select
    compared.snapshot,
    compared.package,
    'compilers' as field,
    cast(to_json(list_sort(list_distinct(compared.said_compilers))) as varchar) as said,
    cast(to_json(compared.found_compilers) as varchar) as found,
from compared
where
    compared.said_compilers <> compared.found_compilers
    and list_sort(list_distinct(compared.said_compilers)) <> compared.found_compilers
union all
select
    compared.snapshot,
    compared.package,
    'oss' as field,
    cast(to_json(list_sort(list_distinct(compared.said_oss))) as varchar) as said,
    cast(to_json(compared.found_oss) as varchar) as found,
from compared
where
    compared.said_oss <> compared.found_oss
    and list_sort(list_distinct(compared.said_oss)) <> compared.found_oss
union all
select
    compared.snapshot,
    compared.package,
    'platforms' as field,
    cast(to_json(list_sort(list_distinct(compared.said_platforms))) as varchar) as said,
    cast(to_json(compared.found_platforms) as varchar) as found,
from compared
where
    compared.said_platforms <> compared.found_platforms
    and list_sort(list_distinct(compared.said_platforms)) <> compared.found_platforms
union all
select
    compared.snapshot,
    compared.package,
    'targets' as field,
    cast(to_json(list_sort(list_distinct(compared.said_targets))) as varchar) as said,
    cast(to_json(compared.found_targets) as varchar) as found,
from compared
where
    compared.said_targets <> compared.found_targets
    and list_sort(list_distinct(compared.said_targets)) <> compared.found_targets
union all
select
    compared.snapshot,
    compared.package,
    'versions' as field,
    cast(to_json(list_sort(list_distinct(compared.said_versions))) as varchar) as said,
    cast(to_json(compared.found_versions) as varchar) as found,
from compared
where
    compared.said_versions <> compared.found_versions
    and list_sort(list_distinct(compared.said_versions)) <> compared.found_versions
union all
select
    compared.snapshot,
    compared.package,
    'stacks' as field,
    cast(to_json(list_sort(list_distinct(compared.said_stacks))) as varchar) as said,
    cast(to_json(compared.found_stacks) as varchar) as found,
from compared
where
    compared.said_stacks <> compared.found_stacks
    and list_sort(list_distinct(compared.said_stacks)) <> compared.found_stacks
union all
select
    rejects.snapshot,
    rejects.package,
    substring(rejects.place, 6) as field,
    rejects.raw as said,
    rejects.reason as found,
from rejects
where rejects.place like 'meta.%' and rejects.snapshot is not null;
