-- lost: a row per package, stack, version, compiler, target, cause and replacement: what a stack held
-- in the one snapshot and does not hold in the other; root is no stack.
-- A lost spec is compared with what the stack has of the package now, and the nearest tells the cause:
-- the first of version, compiler, target, os and variants in which that differs. The compiler none
-- differs from no other: Spack before 1.0 gave a compiler to packages without compiled code too.
-- Where the sources did not load whole (see loaded_sources, absences) the cause is source missing: no loss
-- is proven.
with before as (
    select
        spec_stacks.package,
        spec_stacks.stack,
        spec_stacks.hash,
        spec_stacks.version,
        spec_stacks.compiler,
        spec_stacks.compiler_family,
        coalesce(spec_stacks.compiler_version, '') as compiler_version,
        spec_stacks.target,
        spec_stacks.os || ' ' || spec_stacks.platform as os,
        variant_sets.variants_key as variants,
    from spec_stacks
    inner join variant_sets on spec_stacks.variants = variant_sets.variants
    where spec_stacks.snapshot = {{ from_snapshot }} and spec_stacks.stack <> 'root'
),

after as (
    select
        spec_stacks.package,
        spec_stacks.stack,
        spec_stacks.hash,
        spec_stacks.version,
        spec_stacks.version_key,
        spec_stacks.compiler,
        spec_stacks.compiler_family,
        coalesce(spec_stacks.compiler_version, '') as compiler_version,
        spec_stacks.target,
        spec_stacks.os || ' ' || spec_stacks.platform as os,
        variant_sets.variants_key as variants,
    from spec_stacks
    inner join variant_sets on spec_stacks.variants = variant_sets.variants
    where spec_stacks.snapshot = {{ to_snapshot }} and spec_stacks.stack <> 'root'
),

gone as (
    select
        before.package,
        before.stack,
        before.version,
        before.compiler,
        before.compiler_family,
        before.compiler_version,
        before.target,
        before.os,
        before.variants,
        count(*) as specs,
    from before
    left join after on before.stack = after.stack and before.hash = after.hash
    where after.hash is null
    group by
        before.package,
        before.stack,
        before.version,
        before.compiler,
        before.compiler_family,
        before.compiler_version,
        before.target,
        before.os,
        before.variants
),

standing as (
    select distinct
        after.package,
        after.stack,
        after.version,
        after.version_key,
        after.compiler,
        after.compiler_family,
        after.compiler_version,
        after.target,
        after.os,
        after.variants,
    from after
),

compared as (
    select
        gone.package,
        gone.stack,
        gone.version,
        gone.compiler,
        gone.target,
        gone.os,
        gone.variants,
        gone.specs,
        standing.version_key,
        standing.version as new_version,
        standing.compiler as new_compiler,
        standing.target as new_target,
        standing.os as new_os,
        standing.variants as new_variants,
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
    from gone
    left join standing on gone.package = standing.package and gone.stack = standing.stack
),

-- What the nearest differs in, and how near it is: the greatest text is the nearest, and of equals
-- the newest version.
told as (
    select
        compared.package,
        compared.stack,
        compared.version,
        compared.compiler,
        compared.target,
        compared.os,
        compared.variants,
        compared.specs,
        case
            when compared.new_version is null then '0'
            when compared.other_version = 1 then '5'
            when compared.other_compiler = 1 then '4'
            when compared.other_target = 1 then '3'
            when compared.other_os = 1 then '2'
            when compared.other_variants = 1 then '1'
            else '6'
        end as first_axis,
        6 - compared.other_version - compared.other_compiler - compared.other_target - compared.other_os - compared.other_variants as nearness,
        coalesce(compared.version_key, '') as version_key,
        case
            when compared.new_version is null then ''
            when compared.other_version = 1 then compared.new_version
            when compared.other_compiler = 1 then compared.new_compiler
            when compared.other_target = 1 then compared.new_target
            when compared.other_os = 1 then compared.new_os
            when compared.other_variants = 1 then compared.new_variants
            else ''
        end as replacement,
    from compared
),

nearest as (
    select
        told.package,
        told.stack,
        told.version,
        told.compiler,
        told.target,
        any_value(told.specs) as specs,
        arg_max(
            told.first_axis, cast(told.nearness as varchar) || told.first_axis || told.version_key || ' ' || told.replacement
        ) as first_axis,
        arg_max(
            told.replacement, cast(told.nearness as varchar) || told.first_axis || told.version_key || ' ' || told.replacement
        ) as replacement,
    from told
    group by
        told.package,
        told.stack,
        told.version,
        told.compiler,
        told.target,
        told.os,
        told.variants
),

stacks as (
    select distinct after.stack,
    from after
),

successors as (
    select
        stack_lineage.stack,
        stack_lineage.successor,
    from stack_lineage
    inner join stacks on stack_lineage.successor = stacks.stack
),

pages_loaded as (
    select loaded_sources.package,
    from loaded_sources
    where loaded_sources.snapshot = {{ to_snapshot }} and loaded_sources.stack is null
    union
    select absences.package,
    from absences
    where absences.snapshot = {{ to_snapshot }} and absences.other = {{ from_snapshot }}
),

indexes_loaded as (
    select distinct loaded_sources.stack,
    from loaded_sources
    where loaded_sources.snapshot = {{ to_snapshot }} and loaded_sources.package is null
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

removed as (
    select watched.stack,
    from watched
    left join stacks on watched.stack = stacks.stack
    left join indexes_loaded on watched.stack = indexes_loaded.stack
    where
        stacks.stack is null
        and (watched.packages_known * 2 >= watched.packages or indexes_loaded.stack is not null)
),

explained as (
    select
        nearest.package,
        nearest.stack,
        nearest.version,
        nearest.compiler,
        nearest.target,
        nearest.specs,
        case
            when pages_loaded.package is null and indexes_loaded.stack is null then 'source missing'
            when removed.stack is not null then 'stack removed'
            when nearest.first_axis = '0' then 'package gone from the stack'
            when nearest.first_axis = '5' then 'version replaced'
            when nearest.first_axis = '4' then 'compiler replaced'
            when nearest.first_axis = '3' then 'target replaced'
            when nearest.first_axis = '2' then 'os replaced'
            when nearest.first_axis = '1' then 'variant replaced'
            else 'only the hash changed'
        end as cause,
        case
            when pages_loaded.package is null and indexes_loaded.stack is null then null
            when removed.stack is not null then successors.successor
            when nearest.replacement <> '' then nearest.replacement
        end as replaced_by,
    from nearest
    left join removed on nearest.stack = removed.stack
    left join successors on nearest.stack = successors.stack
    left join pages_loaded on nearest.package = pages_loaded.package
    left join indexes_loaded on nearest.stack = indexes_loaded.stack
)

select
    explained.package,
    explained.stack,
    explained.version,
    explained.compiler,
    explained.target,
    explained.cause,
    explained.replaced_by,
    cast(sum(explained.specs) as bigint) as specs,
from explained
group by
    explained.package,
    explained.stack,
    explained.version,
    explained.compiler,
    explained.target,
    explained.cause,
    explained.replaced_by;
