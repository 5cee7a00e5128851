-- usable_on: what a host can use, by its microarchitecture, with what its libc is to each: a row per snapshot and hash.
-- That is specs for its target or an ancestor of it, in archspec's graph, on its platform: a target alone
-- names none. Where archspec does not know the spec's target, or the host's, nothing can be said, and the
-- spec stays as unresolved. No compiled code suits every compiler family. All rows stay whatever the libc is.
--   host_target: the host's microarchitecture, as spack arch -t prints it
--   host_os := null: only specs for this operating system, or an older release of macOS
--   family := null: only specs built with this compiler family, or with no compiler
--   host_platform := null: by default darwin for Apple's targets, else linux
--   host_libc := null: the host's C library: 2.35 (of glibc), glibc@2.35 or musl@1.2.4
--   host_libc_path := null: where it lies, e.g. /usr; by default not compared
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

releases as (
    select ancestor,
    from os_releases
    where os = {{ host_os }}
),

host_libcs as (
    select
        string_split(spelt, '@')[1] as name,
        string_split(spelt, '@')[2] as version,
        case
            when regexp_matches(spelt, '@[0-9]{1,18}([.][0-9]{1,18})*$')
                then try_cast(string_split(string_split(spelt, '@')[2], '.') as bigint[])
        end as numbers,
    from (
        select
            case
                when {{ host_libc }} like '%@%' then replace({{ host_libc }}, '@=', '@')
                else concat('glibc@', {{ host_libc }})
            end as spelt,
    ) as given
    where {{ host_libc }} is not null
),

-- Few libcs stand for many specs.
libcs as (
    select distinct
        libc, libc_version, libc_path,
        string_split(libc, '@')[1] as name,
        case
            when regexp_matches(libc_version, '^[0-9]{1,18}([.][0-9]{1,18})*$')
                then try_cast(string_split(libc_version, '.') as bigint[])
        end as numbers,
    from spec_stacks
    where libc is not null
),

judged as (
    select
        libcs.libc, libcs.libc_path,
        case
            when host_libcs.name is null then 'unknown'
            when libcs.name <> host_libcs.name or libcs.libc_path <> {{ host_libc_path }} then 'other libc'
            when libcs.libc_version = host_libcs.version or host_libcs.numbers >= libcs.numbers then 'ok'
            when libcs.numbers > host_libcs.numbers then 'too old'
            else 'unknown'
        end as libc_match,
    from libcs
    left join host_libcs on libcs.libc is not null
),

fitting as (
    select
        spec_stacks.snapshot, spec_stacks.package, spec_stacks.hash, spec_stacks.version,
        spec_stacks.version_key, spec_stacks.compiler, spec_stacks.compiler_family, spec_stacks.os,
        spec_stacks.platform, spec_stacks.target, spec_stacks.variants, spec_stacks.stack,
        spec_stacks.libc,
        case
            when spec_stacks.libc is not null then judged.libc_match
            when spec_stacks.libc_known then 'none needed'
            else 'unknown'
        end as libc_match,
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
    left join releases on spec_stacks.os = releases.ancestor
    left join judged
        on spec_stacks.libc = judged.libc and coalesce(spec_stacks.libc_path, '') = coalesce(judged.libc_path, '')
    where
        (
            spec_stacks.target = {{ host_target }}
            or ancestry.ancestor is not null
            or resolved.name is null
            or platforms.known = 0
        )
        and ({{ host_os }} is null or spec_stacks.os = {{ host_os }} or releases.ancestor is not null)
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
    -- the host's: ok, too old, other libc (its name or path), none needed, or unknown: no host_libc, or not libc_known
    any_value(libc_match) as libc,
    any_value(libc) as spec_libc,  -- libc that the spec needs; NULL where it needs none or that is not known
from fitting
group by snapshot, hash;
