-- lost: what each stack held and holds no more, with the cause: a row per package, stack, version, compiler, target, cause and replacement.
-- A lost spec is compared with what the stack has of the package now, and the nearest tells the cause:
-- the first of version, compiler, target, os and variants in which that differs. The compiler none
-- differs from no other: Spack before 1.0 gave a compiler to packages without compiled code too.
-- A package of another namespace is another recipe, and the nearest only where the stack has nothing else of that
-- name. A spec without a namespace has the package's only one of both snapshots;
-- where they have none or several, NULL is one more.
-- Where the sources did not load whole (see loaded_sources, absences, stack_absences) the cause is source missing: no loss
-- is proven.
--   from_snapshot
--   to_snapshot
with named as (
    select
        package,
        min(namespace) as namespace,
    from specs
    where snapshot in ({{ from_snapshot }}, {{ to_snapshot }}) and namespace is not null
    group by package
    having min(namespace) = max(namespace)
),
{% for side, snapshot in [('before', from_snapshot), ('after', to_snapshot)] %}
{{ side }} as (
    select
        spec_stacks.package, spec_stacks.stack, spec_stacks.hash, spec_stacks.version,
        spec_stacks.version_key, spec_stacks.compiler, spec_stacks.compiler_family,
        coalesce(spec_stacks.compiler_version, '') as compiler_version,
        spec_stacks.target,
        spec_stacks.os || ' ' || spec_stacks.platform as os,
        variant_sets.variants_key as variants,
        coalesce(spec_stacks.namespace, named.namespace, '') as namespace,
    from spec_stacks
    inner join variant_sets on spec_stacks.variants = variant_sets.variants
    left join named on spec_stacks.package = named.package
    where spec_stacks.snapshot = {{ snapshot }} and spec_stacks.stack <> 'root'
),
{% endfor %}
gone as (
    select
        before.package, before.stack, before.version, before.compiler, before.compiler_family,
        before.compiler_version, before.target, before.os, before.variants, before.namespace,
        count(*) as specs,
    from before
    left join after on before.stack = after.stack and before.hash = after.hash
    where after.hash is null
    group by
        before.package, before.stack, before.version, before.compiler, before.compiler_family,
        before.compiler_version, before.target, before.os, before.variants, before.namespace
),

standing as (
    select distinct
        package, stack, version, version_key, compiler, compiler_family, compiler_version, target, os,
        variants, namespace,
    from after
),

compared as (
    select
        gone.package, gone.stack, gone.version, gone.compiler, gone.target, gone.os, gone.variants,
        gone.namespace, gone.specs, standing.version_key,
        standing.version as new_version,
        standing.compiler as new_compiler,
        standing.target as new_target,
        standing.os as new_os,
        standing.variants as new_variants,
        standing.namespace as new_namespace,
        case when gone.version = standing.version then 0 else 1 end as other_version,
        case
            when gone.compiler_family = 'none' or standing.compiler_family = 'none' then 0
            when
                gone.compiler_family = standing.compiler_family
                and gone.compiler_version = standing.compiler_version then 0
            else 1
        end as other_compiler,
        case when gone.target = standing.target then 0 else 1 end as other_target,
        case when gone.os = standing.os then 0 else 1 end as other_os,
        case when gone.variants = standing.variants then 0 else 1 end as other_variants,
        case when gone.namespace = standing.namespace then 0 else 1 end as other_namespace,
    from gone
    left join standing on gone.package = standing.package and gone.stack = standing.stack
),

-- In what each differs first, from the variants (1) to the version (5); in nothing (6); it is another recipe (7);
-- there is none (0).
told as (
    select
        package, stack, version, compiler, target, os, variants, namespace, specs, other_namespace,
        case
            when new_version is null then 0
            when other_namespace = 1 then 7
            when other_version = 1 then 5
            when other_compiler = 1 then 4
            when other_target = 1 then 3
            when other_os = 1 then 2
            when other_variants = 1 then 1
            else 6
        end as first_axis,
        6 - other_version - other_compiler - other_target - other_os - other_variants as nearness,
        coalesce(version_key, '') as version_key,
        case
            when new_version is null then ''
            when other_namespace = 1 then new_namespace
            when other_version = 1 then new_version
            when other_compiler = 1 then new_compiler
            when other_target = 1 then new_target
            when other_os = 1 then new_os
            when other_variants = 1 then new_variants
            else ''
        end as replacement,
    from compared
),

-- The nearest comes first: of the same recipe, it differs in the fewest, and of those that differ alike it is the
-- newest version.
ranked as (
    select
        package, stack, version, compiler, target, specs, first_axis, replacement,
        row_number() over (
            partition by package, stack, version, compiler, target, os, variants, namespace
            order by other_namespace asc, nearness desc, first_axis desc, version_key desc, replacement desc
        ) as place,
    from told
),

stacks as (
    select distinct stack,
    from after
),

successors as (
    select stack_lineage.stack, stack_lineage.successor,
    from stack_lineage
    inner join stacks on stack_lineage.successor = stacks.stack
),

pages_loaded as (
    select package,
    from loaded_sources
    where snapshot = {{ to_snapshot }} and stack is null
    union
    select package,
    from absences
    where snapshot = {{ to_snapshot }} and other = {{ from_snapshot }}
),

indexes_loaded as (
    select distinct stack,
    from loaded_sources
    where snapshot = {{ to_snapshot }} and package is null
),

-- A stack that nothing holds any more was removed, if of half of its packages at least it is known.
watched as (
    select
        before.stack,
        count(distinct before.package) as packages,
        count(distinct pages_loaded.package) as packages_known,
    from before
    left join pages_loaded on before.package = pages_loaded.package
    group by before.stack
),

-- A folder of build caches has none of the stack any more.
unlisted as (
    select stack,
    from stack_absences
    where snapshot = {{ to_snapshot }} and other = {{ from_snapshot }}
),

removed as (
    select watched.stack,
    from watched
    left join stacks on watched.stack = stacks.stack
    left join indexes_loaded on watched.stack = indexes_loaded.stack
    left join unlisted on watched.stack = unlisted.stack
    where
        stacks.stack is null
        and (
            watched.packages_known * 2 >= watched.packages
            or indexes_loaded.stack is not null
            or unlisted.stack is not null
        )
),

proven as (
    select stack,
    from indexes_loaded
    union
    select stack,
    from unlisted
),

explained as (
    select
        ranked.package, ranked.stack, ranked.version, ranked.compiler, ranked.target, ranked.specs,
        case
            when pages_loaded.package is null and proven.stack is null then 'source missing'
            when removed.stack is not null then 'stack removed'
            when ranked.first_axis = 0 then 'package gone from the stack'
            when ranked.first_axis = 7 then 'namespace replaced'
            when ranked.first_axis = 5 then 'version replaced'
            when ranked.first_axis = 4 then 'compiler replaced'
            when ranked.first_axis = 3 then 'target replaced'
            when ranked.first_axis = 2 then 'os replaced'
            when ranked.first_axis = 1 then 'variant replaced'
            else 'only the hash changed'
        end as cause,
        case
            when pages_loaded.package is null and proven.stack is null then null
            when removed.stack is not null then successors.successor
            when ranked.replacement <> '' then ranked.replacement
        end as replaced_by,
    from ranked
    left join removed on ranked.stack = removed.stack
    left join successors on ranked.stack = successors.stack
    left join pages_loaded on ranked.package = pages_loaded.package
    left join proven on ranked.stack = proven.stack
    where ranked.place = 1
)

select
    package,
    stack,
    version,  -- version of the lost specs
    compiler,
    target,
    -- stack removed, package gone from the stack, namespace replaced, version replaced, compiler replaced, target
    -- replaced, os replaced, variant replaced, only the hash changed; or source missing: not known to be lost
    cause,
    -- what stands there instead: the successor of a removed stack, else the value that replaces; NULL where
    -- nothing does
    replaced_by,
    cast(sum(specs) as bigint) as specs,  -- distinct hashes that the stack has lost
from explained
group by package, stack, version, compiler, target, cause, replaced_by;
