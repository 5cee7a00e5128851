-- hash_diff: hashes that one snapshot has and another has not: a row per hash.
-- Root-only ones are included. Of what the other's sources did not load whole, nothing is listed: see
-- loaded_sources and absences.
--   from_snapshot
--   to_snapshot
with sides as (
    select
        'lost' as change,
        {{ from_snapshot }} as snapshot,
        {{ to_snapshot }} as other,
    union all
    select
        'gained' as change,
        {{ to_snapshot }} as snapshot,
        {{ from_snapshot }} as other,
),

held as (
    select
        snapshot, package, hash, version, version_key, compiler, compiler_family, os, platform, target,
        variants, stacks,
    from specs
    where snapshot in ({{ from_snapshot }}, {{ to_snapshot }})
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

-- Whatever could hold a hash in the other snapshot, and does not say so.
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

select
    sides.change,
    held.package,
    held.hash,
    held.version,
    held.version_key,
    held.compiler,
    held.compiler_family,
    held.os,
    held.platform,
    held.target,
    held.variants,
    held.stacks,  -- stacks that held it or hold it, without root
from sides
inner join held on sides.snapshot = held.snapshot
left join held as others on sides.other = others.snapshot and held.hash = others.hash
left join doubted on sides.change = doubted.change and held.hash = doubted.hash
where others.hash is null and doubted.hash is null;
