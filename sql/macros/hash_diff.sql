-- hash_diff: hashes that one snapshot has and another has not: a row per hash.
-- Root-only ones are included. Of what the other's sources did not load whole, nothing is listed: see
-- loaded_sources and absences.
--   from_snapshot
--   to_snapshot
with {% include 'doubted.sql' %},

held as (
    select
        snapshot, package, hash, version, version_key, compiler, compiler_family, os, platform, target,
        variants, stacks,
    from specs
    where snapshot in ({{ from_snapshot }}, {{ to_snapshot }})
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
