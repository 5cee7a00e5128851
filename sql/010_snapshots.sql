-- snapshots: a row per snapshot, with its place in the calendar.
-- Names by Spack's own pattern: develop, develop-YYYY-MM-DD (weekly), vX.Y.Z and vX.Y (release).
-- A snapshot whose pages gave no spec is there too, with zeros.
create view snapshots as
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
        end as kind,
    from pages
    group by pages.snapshot
),

counted as (
    select
        spec_stacks.snapshot,
        count(distinct spec_stacks.package) as packages,
        count(distinct spec_stacks.hash) as specs,
    from spec_stacks
    group by spec_stacks.snapshot
)

select
    named.snapshot,
    named.kind,
    case when named.kind = 'weekly' then try_cast(substring(named.snapshot, 9) as date) end as date,
    row_number() over (
        order by
            case named.kind when 'release' then 1 when 'weekly' then 2 when 'develop' then 3 else 4 end,
            case when named.kind = 'release' then try_cast(string_split(substring(named.snapshot, 2), '.') as bigint[]) end,
            named.snapshot
    ) as sort_position,
    coalesce(counted.packages, 0) as packages,
    coalesce(counted.specs, 0) as specs,
from named
left join counted on named.snapshot = counted.snapshot;
