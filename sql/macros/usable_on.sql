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
),

fitting as (
    select
        spec_stacks.snapshot,
        spec_stacks.package,
        spec_stacks.hash,
        spec_stacks.version,
        spec_stacks.version_key,
        spec_stacks.compiler,
        spec_stacks.compiler_family,
        spec_stacks.os,
        spec_stacks.platform,
        spec_stacks.target,
        spec_stacks.variants,
        spec_stacks.stack,
        case
            when spec_stacks.target = {{ host_target }} then 'exact'
            when ancestry.ancestor is not null then 'ancestor'
            else 'unresolved'
        end as target_match,
        case when spec_stacks.target = {{ host_target }} then 0 else ancestry.distance end as distance,
    from spec_stacks
    inner join platforms on spec_stacks.platform = coalesce({{ host_platform }}, platforms.platform)
    left join resolved on spec_stacks.target = resolved.name
    left join ancestry on spec_stacks.target = ancestry.ancestor
    where
        (
            spec_stacks.target = {{ host_target }}
            or ancestry.ancestor is not null
            or resolved.name is null
            or platforms.known = 0
        )
        and ({{ host_os }} is null or spec_stacks.os = {{ host_os }})
        and ({{ family }} is null or spec_stacks.compiler_family in ({{ family }}, 'none'))
)

-- All rows of a spec say the same but for the stack; grouped last, only what fits is.
select
    fitting.snapshot,
    any_value(fitting.package) as package,
    fitting.hash,
    any_value(fitting.version) as version,
    any_value(fitting.version_key) as version_key,
    any_value(fitting.compiler) as compiler,
    any_value(fitting.compiler_family) as compiler_family,
    any_value(fitting.os) as os,
    any_value(fitting.platform) as platform,
    any_value(fitting.target) as target,
    any_value(fitting.variants) as variants,
    list_sort(coalesce(array_agg(fitting.stack) filter (where fitting.stack <> 'root'), [])) as stacks,
    any_value(fitting.target_match) as target_match,
    any_value(fitting.distance) as distance,
    'unknown' as libc,
from fitting
group by
    fitting.snapshot,
    fitting.hash;
