-- version_lag: how far each stack is behind: a row per snapshot, package and stack.
-- Versions are in Spack's order. Specs that stand in root alone set no mark. Of versions that are equal in
-- that order (1.2 and 1.02) the later in text order is named.
create view version_lag as
with held as (
    select distinct snapshot, package, stack, version, version_key,
    from spec_stacks
    where stack <> 'root'
),

latest as (
    select
        snapshot, package, stack,
        arg_max(version, version_key || ' ' || version) as latest_version,
        max(version_key) as latest_key,
    from held
    group by snapshot, package, stack
),

newest as (
    select
        snapshot, package,
        arg_max(version, version_key || ' ' || version) as newest_version,
    from held
    group by snapshot, package
),

keys as (
    select distinct snapshot, package, version_key,
    from held
),

-- Places are counted and versions not compared each with each: a package may have very many.
placed as (
    select
        snapshot, package, version_key,
        row_number() over (partition by snapshot, package order by version_key desc) as place,
    from keys
)

select
    latest.snapshot,
    latest.package,
    latest.stack,
    latest.latest_version,  -- the newest version that the stack holds, in Spack's order
    newest.newest_version,  -- the newest version that any stack of the snapshot holds
    placed.place - 1 as versions_behind,  -- distinct newer versions that other stacks of the snapshot hold
from latest
inner join newest on latest.snapshot = newest.snapshot and latest.package = newest.package
inner join placed
    on
        latest.snapshot = placed.snapshot
        and latest.package = placed.package
        and latest.latest_key = placed.version_key;
