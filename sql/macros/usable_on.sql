-- usable_on: what a host can use, judged by its microarchitecture: a row per snapshot and hash.
-- That is specs for its target or an ancestor of it, in archspec's graph, on its platform: a target alone
-- names none. Where archspec does not know the spec's target, or the host's, nothing can be said, and the
-- spec stays as unresolved. No compiled code suits every compiler family.
--   host_target: the host's microarchitecture, as spack arch -t prints it
--   host_os := null: only specs for this operating system
--   family := null: only specs built with this compiler family, or with no compiler
--   host_platform := null: by default darwin for Apple's targets, else linux
with platforms as (
    select
        coalesce(max(case when vendor = 'Apple' then 'darwin' end), 'linux') as platform,
        count(*) as known,
    from targets
    where target = {{ host_target }}
),

resolved as (
    select distinct target as name,
    from targets
),

ancestry as (
    select ancestor, distance,
    from targets
    where target = {{ host_target }}
),

fitting as (
    select
        spec_stacks.snapshot, spec_stacks.package, spec_stacks.hash, spec_stacks.version,
        spec_stacks.version_key, spec_stacks.compiler, spec_stacks.compiler_family, spec_stacks.os,
        spec_stacks.platform, spec_stacks.target, spec_stacks.variants, spec_stacks.stack,
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
    snapshot,
    any_value(package) as package,
    hash,
    any_value(version) as version,
    any_value(version_key) as version_key,
    any_value(compiler) as compiler,
    any_value(compiler_family) as compiler_family,
    any_value(os) as os,
    any_value(platform) as platform,
    any_value(target) as target,
    any_value(variants) as variants,
    list_sort(coalesce(array_agg(stack) filter (where stack <> 'root'), [])) as stacks,
    -- exact or ancestor: it runs there; unresolved: archspec does not know the target, or the host
    any_value(target_match) as target_match,
    any_value(distance) as distance,  -- steps from the target to the host's; NULL where unresolved
    'unknown' as libc,  -- whether the host's libc is new enough: always unknown, as sources do not name the spec's
from fitting
group by snapshot, hash;
