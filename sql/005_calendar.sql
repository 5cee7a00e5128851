-- calendar: a row per snapshot, and per week that lacks one between two weekly snapshots.
-- Names by Spack's own pattern: develop, develop-YYYY-MM-DD (weekly), vX.Y.Z and vX.Y (release). Each
-- kind is a series of its own; weeks go from Monday to Sunday, the day on which Spack tags develop.
create view calendar as
with named as (
    select
        pages.snapshot,
        case
            when pages.snapshot = 'develop' then 'develop'
            when regexp_matches(pages.snapshot, '^v[0-9]+([.][0-9]+)*$') then 'release'
            when
                regexp_matches(pages.snapshot, '^develop-[0-9]{4}-[0-9]{2}-[0-9]{2}$')
                and try_cast(substring(pages.snapshot, 9) as date) is not null then 'weekly'
            else 'other'
        end as series,
    from pages
    group by pages.snapshot
),

dated as (
    select
        named.series,
        named.snapshot,
        case when named.series = 'weekly' then try_cast(substring(named.snapshot, 9) as date) end as date,
        case when named.series = 'release' then try_cast(string_split(substring(named.snapshot, 2), '.') as bigint[]) end as numbers,
    from named
),

-- 1970-01-05 was a Monday.
weeks as (
    select
        dated.date,
        date_diff('day', date '1970-01-05', dated.date) // 7 as week,
    from dated
    where dated.date is not null
),

spans as (
    select
        weeks.week,
        lead(weeks.week) over (order by weeks.date) as next_week,
    from weeks
),

missed as (
    select unnest(generate_series(spans.week + 1, spans.next_week - 1)) as week,
    from spans
    where spans.next_week - spans.week > 1
),

slots as (
    select
        dated.series,
        dated.snapshot,
        dated.date,
        dated.numbers,
    from dated
    union all
    select
        'weekly' as series,
        cast(null as varchar) as snapshot,
        date '1970-01-05' + cast(missed.week * 7 + 6 as integer) as date,
        cast(null as bigint[]) as numbers,
    from missed
)

select
    slots.series,
    row_number() over (partition by slots.series order by slots.date, slots.numbers, slots.snapshot) as position,
    slots.date,
    slots.snapshot,
from slots;
