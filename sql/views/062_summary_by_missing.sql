-- summary_by_missing: what keeps the specs of a snapshot from being installable: a row per snapshot and missing part.
-- A spec counts for the five parts that are nearest to it, as missing_dependencies lists them.
create view summary_by_missing as
select
    snapshot,
    missing_package,  -- package of the missing part, e.g. zlib-ng
    missing_hash,  -- its 32-letter DAG hash
    min(reason) as reason,  -- hole: an index describes it, and it is not in the cache; unknown: none does
    count(distinct package) as packages,  -- packages with a spec that lacks it
    count(distinct hash) as specs,  -- distinct hashes that lack it
    -- stacks that hold such a spec, in text order, without root
    list_sort(coalesce(array_agg(distinct stack) filter (where stack <> 'root'), [])) as stacks,
from missing_dependencies
group by snapshot, missing_package, missing_hash;
