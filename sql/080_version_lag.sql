-- version_lag: a row per snapshot, package and stack: its newest version beside the newest of any
-- stack, in Spack's order. Specs that stand in root alone set no mark. Of versions that are equal in
-- that order (1.2 and 1.02) the later in text order is named.
create view version_lag as
with held as (
    select distinct
        spec_stacks.snapshot,
        spec_stacks.package,
        spec_stacks.stack,
        spec_stacks.version,
        spec_stacks.version_key,
    from spec_stacks
    where spec_stacks.stack <> 'root'
),

latest as (
    select
        held.snapshot,
        held.package,
        held.stack,
        arg_max(held.version, held.version_key || ' ' || held.version) as latest_version,
        max(held.version_key) as latest_key,
    from held
    group by
        held.snapshot,
        held.package,
        held.stack
),

known as (
    select distinct
        held.snapshot,
        held.package,
        held.version,
        held.version_key,
    from held
),

newest as (
    select
        known.snapshot,
        known.package,
        arg_max(known.version, known.version_key || ' ' || known.version) as newest_version,
    from known
    group by
        known.snapshot,
        known.package
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
    group by
        latest.snapshot,
        latest.package,
        latest.stack
)

select
    latest.snapshot,
    latest.package,
    latest.stack,
    latest.latest_version,
    newest.newest_version,
    coalesce(newer.versions_behind, 0) as versions_behind,
from latest
inner join newest on latest.snapshot = newest.snapshot and latest.package = newest.package
left join newer
    on
        latest.snapshot = newer.snapshot
        and latest.package = newer.package
        and latest.stack = newer.stack;
