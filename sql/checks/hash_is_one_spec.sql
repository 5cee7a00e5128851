-- hash_is_one_spec: within a snapshot a hash is one spec of one package, the same in every stack.
with described as (
    select
        snapshot, hash, package,
        -- Distinct rows of so many columns would take three times as long as their digests.
        -- Maps are digested as text, for Spark does not digest them otherwise.
        hash({{ same | join(', ') }}) as digest,
    from spec_stacks
)

select
    snapshot, hash,
    min(package) as package,
    max(package) as other_package,
    count(*) as num_rows,
from described
group by snapshot, hash
having min(digest) <> max(digest);
