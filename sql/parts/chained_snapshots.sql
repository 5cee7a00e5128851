{#- Steps "chained" and "placed" (snapshot, chain, place): the snapshots of each series in order; develop comes after the weekly ones. -#}
chained as (
    select
        snapshot,
        case when series = 'develop' then 'weekly' else series end as chain,
        case when series = 'develop' then 1 else 0 end as part,
        position,
    from calendar
    where snapshot is not null
),

placed as (
    select
        snapshot, chain,
        row_number() over (partition by chain order by part, position) as place,
    from chained
)
