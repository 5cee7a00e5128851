-- version_lag: how far each stack is behind: a row per snapshot, package and stack.
-- Versions are in Spack's order. Specs that stand in root alone set no mark. Of versions that are equal in
-- that order (1.2 and 1.02) the later in text order is named.
create view version_lag as
with held as (
    select distinct
        snapshot,
        package,
        stack,
        version,
        version_key,
    from spec_stacks
    where stack <> 'root'
),

latest as (
    select
        snapshot,
        package,
        stack,
        arg_max(version, version_key || ' ' || version) as latest_version,
        max(version_key) as latest_key,
    from held
    group by snapshot, package, stack
),

known as (
    select distinct
        snapshot,
        package,
        version,
        version_key,
    from held
),

newest as (
    select
        snapshot,
        package,
        arg_max(version, version_key || ' ' || version) as newest_version,
    from known
    group by snapshot, package
),

newer as (
    select
        latest.snapshot,
        latest.package,
        latest.stack,
        count(distinct known.version_key) as versions_behind,
    from latest
    inner join known on latest.snapshot = known.snapshot and latest.package = known.package
    where known.version_key > latest.latest_key
    group by latest.snapshot, latest.package, latest.stack
)

select
    latest.snapshot,
    latest.package,
    latest.stack,
    latest.latest_version,  -- the newest version that the stack holds, in Spack's order
    newest.newest_version,  -- the newest version that any stack of the snapshot holds
    -- distinct newer versions that other stacks of the snapshot hold
    coalesce(newer.versions_behind, 0) as versions_behind,
from latest
inner join newest on latest.snapshot = newest.snapshot and latest.package = newest.package
left join newer
    on
        latest.snapshot = newer.snapshot
        and latest.package = newer.package
        and latest.stack = newer.stack;
