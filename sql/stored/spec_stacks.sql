-- spec_stacks: a row per snapshot, spec and stack that holds it, root included.
-- Made of the table stored_specs, which has a row per snapshot and spec. What a place says otherwise than the
-- others stands in places: in the order of the stacks, root last.
create view spec_stacks as
with placed as (
    select
        snapshot,
        package,
        hash,
        unnest(case when in_root then list_append(stacks, 'root') else stacks end) as stack,
        * exclude (snapshot, package, hash),
        unnest(places) as place,
    from stored_specs
)

select
    * exclude (stacks, in_root, places, place) replace (
        case when places is null then size_bytes else place.size_bytes end as size_bytes,  -- noqa: RF03
        case when places is null then tarball_url else place.tarball_url end as tarball_url,  -- noqa: RF03
        case when places is null then source else place.source end as source,  -- noqa: RF03
        case when places is null then installable else place.installable end as installable  -- noqa: RF03
    ),
from placed;
