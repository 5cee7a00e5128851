-- summary_by_libc: which C library the specs of a snapshot need of their host: a row per snapshot and answer.
-- Those of darwin, and what compiles nothing and links with nothing that does, need none; pages do not say.
create view summary_by_libc as
with named as (
    select
        snapshot, package,
        coalesce(libc, case when libc_known then 'none needed' else 'unknown' end) as libc,
    from specs
)

select
    snapshot,
    libc,  -- libc and version, e.g. glibc@2.35; or none needed, or unknown: no source says
    count(distinct package) as packages,
    count(*) as specs,  -- distinct hashes, root-only ones included
from named
group by snapshot, libc;
