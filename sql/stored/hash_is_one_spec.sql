-- hash_is_one_spec: within a snapshot a hash is one spec of one package, the same in every stack.
-- Only a hash that is stored twice can break that.
with suspected as (
    select snapshot, hash,
    from stored_specs
    group by snapshot, hash
    having count(*) > 1
),

described as (
    select
        stored_specs.snapshot, stored_specs.hash, stored_specs.package,
        hash({{ same | join(', ') }}) as digest,
    from stored_specs
    inner join suspected on stored_specs.snapshot = suspected.snapshot and stored_specs.hash = suspected.hash
)

select
    snapshot,
    hash,
    min(package) as package,
    max(package) as other_package,
    count(*) as num_rows,
from described
group by snapshot, hash
having min(digest) <> max(digest);
