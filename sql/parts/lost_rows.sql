{#- Step "lost_rows", of which the macro lost says what it is, and those before it: "before" and "after", the specs of the two snapshots. -#}
{% include 'named.sql' %},

-- A build compares each snapshot with its previous one, and keeps what it finds: these are not compared again.
kept as (
    select package, stack, version, compiler, target, cause, replaced_by, specs,
    from changes
    where
        changes.from_snapshot = {{ from_snapshot }}  -- noqa: RF03
        and changes.to_snapshot = {{ to_snapshot }}  -- noqa: RF03
        and change = 'lost'
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
        spec_stacks.package_hash,
        {%- if side == 'after' %}
        case when before.hash is null then 1 else 0 end as is_new,
        {%- endif %}
    from spec_stacks
    inner join variant_sets on spec_stacks.variants = variant_sets.variants
    left join named on spec_stacks.package = named.package
    {%- if side == 'after' %}
    left join before on spec_stacks.stack = before.stack and spec_stacks.hash = before.hash
    {%- endif %}
    where
        spec_stacks.snapshot = {{ snapshot }} and spec_stacks.stack <> 'root'
        and not exists (
            select kept.stack,
            from kept
        )
),
{% endfor %}
gone_specs as (
    select
        before.package, before.stack, before.hash, before.version, before.compiler, before.compiler_family,
        before.compiler_version, before.target, before.os, before.variants, before.namespace, before.package_hash,
    from before
    left join after on before.stack = after.stack and before.hash = after.hash
    where after.hash is null
),

gone as (
    select distinct
        package, stack, version, compiler, compiler_family, compiler_version, target, os, variants, namespace,
    from gone_specs
),

-- What was held before was not built in place of another. Of each configuration 2 where the recipe of a new spec is known, 1 where that of any is.
standing as (
    select
        package, stack, version, version_key, compiler, compiler_family, compiler_version, target, os,
        variants, namespace,
        max(case when package_hash is null then 0 else 1 + is_new end) as known,
    from after
    group by
        package, stack, version, version_key, compiler, compiler_family, compiler_version, target, os,
        variants, namespace
),

-- What a rebuild left as it was is found by its key: compared each with each, many specs of a package take long.
rebuilt as (
    select
        package, stack, version, compiler_family, compiler_version, target, os, variants, namespace,
        max(known) as known,
    from standing
    group by package, stack, version, compiler_family, compiler_version, target, os, variants, namespace
),

matched as (
    select
        gone.package, gone.stack, gone.version, gone.compiler, gone.compiler_family, gone.compiler_version,
        gone.target, gone.os, gone.variants, gone.namespace, rebuilt.known,
    from gone
    left join rebuilt
        on
            gone.package = rebuilt.package
            and gone.stack = rebuilt.stack
            and gone.version = rebuilt.version
            and gone.compiler_family = rebuilt.compiler_family
            and gone.compiler_version = rebuilt.compiler_version
            and gone.target = rebuilt.target
            and gone.os = rebuilt.os
            and gone.variants = rebuilt.variants
            and gone.namespace = rebuilt.namespace
),

changed as (
    select
        package, stack, version, compiler, compiler_family, compiler_version, target, os, variants, namespace,
    from matched
    where known is null
),

compared as (
    select
        changed.package, changed.stack, changed.version, changed.compiler, changed.target, changed.os,
        changed.variants, changed.namespace, standing.version_key,
        standing.known,
        standing.version as new_version,
        standing.compiler as new_compiler,
        standing.target as new_target,
        standing.os as new_os,
        standing.variants as new_variants,
        standing.namespace as new_namespace,
        case when changed.version = standing.version then 0 else 1 end as other_version,
        case
            when changed.compiler_family = 'none' or standing.compiler_family = 'none' then 0
            when
                changed.compiler_family = standing.compiler_family
                and changed.compiler_version = standing.compiler_version then 0
            else 1
        end as other_compiler,
        case when changed.target = standing.target then 0 else 1 end as other_target,
        case when changed.os = standing.os then 0 else 1 end as other_os,
        case when changed.variants = standing.variants then 0 else 1 end as other_variants,
        case when changed.namespace = standing.namespace then 0 else 1 end as other_namespace,
    from changed
    left join standing on changed.package = standing.package and changed.stack = standing.stack
),

-- In what each differs first, from the variants (1) to the version (5); in nothing (6); it is another recipe (7);
-- there is none (0).
differing as (
    select
        package, stack, version, compiler, target, os, variants, namespace, other_namespace,
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
        known,
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
        package, stack, version, compiler, target, os, variants, namespace,
        max(
            struct_pack(
                same_recipe := 1 - other_namespace,
                nearness := nearness,
                first_axis := first_axis,
                version_key := version_key,
                replacement := replacement,
                known := known
            )
        ) as nearest,
    from differing
    group by package, stack, version, compiler, target, os, variants, namespace
),

found as (
    select
        package, stack, version, compiler, target, os, variants, namespace,
        nearest.first_axis,  -- noqa: RF03
        nearest.replacement,  -- noqa: RF03
        nearest.known,  -- noqa: RF03
    from ranked
    union all
    select
        package, stack, version, compiler, target, os, variants, namespace,
        6 as first_axis,
        '' as replacement,
        known,
    from matched
    where known is not null
),

{% include 'rebuilds.sql' %},

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
        found.package, found.stack, found.version, found.compiler, found.target,
        case
            when pages_loaded.package is null and proven.stack is null then 'source missing'
            when removed.stack is not null then 'stack removed'
            when found.first_axis = 0 then 'package gone from the stack'
            when found.first_axis = 7 then 'namespace replaced'
            when found.first_axis = 5 then 'version replaced'
            when found.first_axis = 4 then 'compiler replaced'
            when found.first_axis = 3 then 'target replaced'
            when found.first_axis = 2 then 'os replaced'
            when found.first_axis = 1 then 'variant replaced'
            when gone_specs.package_hash is null or found.known = 0 then 'unknown'
            when reasons.why is null or (reasons.stayed = 1 and found.known = 2) then 'recipe changed'
            else reasons.why
        end as cause,
        case
            when pages_loaded.package is null and proven.stack is null then null
            when removed.stack is not null then successors.successor
            when found.first_axis = 6 and not (reasons.stayed = 1 and found.known = 2) then reasons.change
            when found.replacement <> '' then found.replacement
        end as replaced_by,
    from found
    inner join gone_specs
        on
            found.package = gone_specs.package
            and found.stack = gone_specs.stack
            and found.version = gone_specs.version
            and found.compiler = gone_specs.compiler
            and found.target = gone_specs.target
            and found.os = gone_specs.os
            and found.variants = gone_specs.variants
            and found.namespace = gone_specs.namespace
    left join reasons on gone_specs.stack = reasons.stack and gone_specs.hash = reasons.hash
    left join removed on found.stack = removed.stack
    left join successors on found.stack = successors.stack
    left join pages_loaded on found.package = pages_loaded.package
    left join proven on found.stack = proven.stack
),

lost_rows as (
    select
        package, stack, version, compiler, target, cause, replaced_by,
        count(*) as specs,
    from explained
    group by package, stack, version, compiler, target, cause, replaced_by
    union all
    select package, stack, version, compiler, target, cause, replaced_by, specs,
    from kept
)
