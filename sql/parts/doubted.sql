{#- Steps "sides", each snapshot beside the other, and "doubted": hashes that the other side could hold, and does not say so. -#}
sides as (
    select
        'lost' as change,
        'gained' as opposite,
        {{ from_snapshot }} as snapshot,
        {{ to_snapshot }} as other,
    union all
    select
        'gained' as change,
        'lost' as opposite,
        {{ to_snapshot }} as snapshot,
        {{ from_snapshot }} as other,
),

proven as (
    select sides.change, loaded_sources.package, loaded_sources.stack,
    from sides
    inner join loaded_sources on sides.other = loaded_sources.snapshot
    union all
    select
        sides.change, absences.package,
        cast(null as varchar) as stack,
    from sides
    inner join absences on sides.other = absences.snapshot and sides.snapshot = absences.other
),

doubted as (
    select distinct sides.change, spec_stacks.hash,
    from sides
    inner join spec_stacks on sides.snapshot = spec_stacks.snapshot
    left join proven as page
        on sides.change = page.change and spec_stacks.package = page.package and page.stack is null
    left join proven as index
        on sides.change = index.change and spec_stacks.stack = index.stack and index.package is null
    where
        spec_stacks.snapshot in ({{ from_snapshot }}, {{ to_snapshot }})
        and page.change is null
        and index.change is null
)
