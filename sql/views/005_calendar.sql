-- calendar: a row per snapshot, and per week without one between two weekly snapshots.
-- Names by Spack's own pattern: develop, develop-YYYY-MM-DD (weekly), vX.Y.Z and vX.Y (release). Each
-- kind is a series of its own; weeks go from Monday to Sunday, the day on which Spack tags develop.
create view calendar as
with named as (
    select
        snapshot,
        case
            when snapshot = 'develop' then 'develop'
            when regexp_matches(snapshot, '^v[0-9]+([.][0-9]+)*$') then 'release'
            when
                regexp_matches(snapshot, '^develop-[0-9]{4}-[0-9]{2}-[0-9]{2}$')
                and try_cast(substring(snapshot, 9) as date) is not null then 'weekly'
            else 'other'
        end as series,
    from pages
    group by snapshot
),

-- A number of more than 18 digits is none to compare by: it may be more than engines hold.
dated as (
    select
        series, snapshot,
        case when series = 'weekly' then try_cast(substring(snapshot, 9) as date) end as date,
        case
            when series = 'release' and not regexp_matches(snapshot, '[0-9]{19}')
                then try_cast(string_split(substring(snapshot, 2), '.') as bigint[])
        end as numbers,
    from named
),

-- 1970-01-05 was a Monday.
weeks as (
    select
        date,
        date_diff('day', date '1970-01-05', date) // 7 as week,
    from dated
    where date is not null
),

spans as (
    select
        week,
        lead(week) over (order by date) as next_week,
    from weeks
),

missed as (
    select unnest(generate_series(week + 1, next_week - 1)) as week,
    from spans
    where next_week - week > 1
),

slots as (
    select dated.series, dated.snapshot, dated.date, dated.numbers,
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
    series,
    row_number() over (partition by series order by date, numbers, snapshot) as position,
    date,
    snapshot,  -- snapshot; NULL for a week that has none
from slots;
