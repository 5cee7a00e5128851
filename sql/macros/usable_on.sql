-- usable_on: a row per snapshot and hash that a host can use as far as its microarchitecture tells:
-- specs for its target or an ancestor of it, in archspec's graph, on its platform.
-- A target alone names no platform: Apple's are taken for darwin, all others for linux, unless
-- host_platform is given. Where archspec does not know the spec's target, or the host's, nothing can be
-- said, and the spec stays as unresolved. No compiled code suits every compiler family.
with platforms as (
    select
        coalesce(max(case when targets.vendor = 'Apple' then 'darwin' end), 'linux') as platform,
        count(*) as known,
    from targets
    where targets.target = {{ host_target }}
),

resolved as (
    select distinct targets.target as name,
    from targets
),

ancestry as (
    select
        targets.ancestor,
        targets.distance,
    from targets
    where targets.target = {{ host_target }}
)

select
    specs.snapshot,
    specs.package,
    specs.hash,
    specs.version,
    specs.version_key,
    specs.compiler,
    specs.compiler_family,
    specs.os,
    specs.platform,
    specs.target,
    specs.variants,
    specs.stacks,
    case
        when specs.target = {{ host_target }} then 'exact'
        when ancestry.ancestor is not null then 'ancestor'
        else 'unresolved'
    end as target_match,
    case when specs.target = {{ host_target }} then 0 else ancestry.distance end as distance,
    'unknown' as libc,
from specs
inner join platforms on specs.platform = coalesce({{ host_platform }}, platforms.platform)
left join resolved on specs.target = resolved.name
left join ancestry on specs.target = ancestry.ancestor
where
    (
        specs.target = {{ host_target }}
        or ancestry.ancestor is not null
        or resolved.name is null
        or platforms.known = 0
    )
    and ({{ host_os }} is null or specs.os = {{ host_os }})
    and ({{ family }} is null or specs.compiler_family in ({{ family }}, 'none'));
