-- meta_mismatches: where a page's own meta disagrees with its spec_details: a row per field, or per stack of num_specs_by_stack.
-- Lists are compared as sets. A field that meta lacks is no mismatch; a stack that num_specs_by_stack lacks
-- counts as 0 there; a field of a wrong type agrees with nothing.
{%- set found = {'compilers': 'compiler_raw', 'oss': 'os', 'platforms': 'platform', 'targets': 'target', 'versions': 'version'} %}
create view meta_mismatches as
with described as (
    select
        snapshot,
        package,
        {%- for column in found.values() %}
        {{ column }},
        {%- endfor %}
        count(*) as num_specs,
    from specs
    group by snapshot, package, {{ found.values() | join(', ') }}
),

found as (
    select
        snapshot,
        package,
        {%- for field, column in found.items() %}
        list_sort(list_distinct(array_agg({{ column }}))) as {{ field }},
        {%- endfor %}
        cast(sum(num_specs) as bigint) as num_specs,
    from described
    group by snapshot, package
),

found_stacks as (
    select
        snapshot,
        package,
        list_sort(array_agg(distinct stack)) as stacks,
    from spec_stacks
    group by snapshot, package
),

-- Each page's fields beside what was found; a page without specs has found nothing.
compared as (
    select
        pages.snapshot,
        pages.package,
        {%- for field in lists %}
        pages.meta_{{ field }} as said_{{ field }},
        coalesce({{ 'found_stacks' if field == 'stacks' else 'found' }}.{{ field }}, []) as found_{{ field }},
        {%- endfor %}
        pages.meta_num_specs as said_num_specs,
        coalesce(found.num_specs, 0) as found_num_specs,
    from pages
    left join found on pages.snapshot = found.snapshot and pages.package = found.package
    left join found_stacks on pages.snapshot = found_stacks.snapshot and pages.package = found_stacks.package
),

listed as (
    {%- for field in lists %}
    {%- if not loop.first %}
    union all
    {%- endif %}
    select
        snapshot,
        package,
        '{{ field }}' as field,
        said_{{ field }} as said,
        found_{{ field }} as found,
    from compared
    {%- endfor %}
),

counts as (
    select
        snapshot,
        package,
        unnest(map_entries(meta_num_specs_by_stack)) as of_stack,
    from pages
),

said_by_stack as (
    select
        snapshot,
        package,
        of_stack.key as stack,  -- noqa: RF03
        of_stack.value as num_specs,  -- noqa: RF03
    from counts
),

found_by_stack as (
    select
        snapshot,
        package,
        stack,
        count(*) as num_specs,
    from spec_stacks
    group by snapshot, package, stack
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
    snapshot,
    package,
    'num_specs' as field,  -- field of meta, e.g. num_specs
    cast(said_num_specs as varchar) as said,  -- what meta says, as JSON; a stack that it leaves out counts as 0
    cast(found_num_specs as varchar) as found,  -- what the loaded specs give, as JSON
from compared
where said_num_specs <> found_num_specs
union all
select
    snapshot,
    package,
    'num_specs_by_stack' as field,
    stack || ': ' || cast(said as varchar) as said,
    stack || ': ' || cast(found as varchar) as found,
from compared_by_stack
where said <> found
union all
select
    snapshot,
    package,
    field,
    cast(to_json(list_sort(list_distinct(said))) as varchar) as said,
    cast(to_json(found) as varchar) as found,
from listed
where said <> found and list_sort(list_distinct(said)) <> found
union all
select
    snapshot,
    package,
    substring(place, 6) as field,
    raw as said,
    reason as found,
from rejects
where place like 'meta.%' and snapshot is not null;
