-- lost: what each stack held and holds no more, with the cause: a row per package, stack, version, compiler, target, cause and replacement.
-- A lost spec is compared with what the stack has of the package now, and the nearest tells the cause:
-- the first of version, compiler, target, os and variants in which that differs. The compiler none
-- differs from no other: Spack before 1.0 gave a compiler to packages without compiled code too.
-- Where it differs in none of them only the hash changed, and the spec is compared with those of its configuration
-- that are new in the stack (with those that stayed, where none is new): first with one of the same recipe, then with
-- the one of which the fewest direct dependencies differ. A hash covers the recipe, the dependencies' hashes and what is
-- compared here; where all are the same, Spack itself hashes otherwise: it has another format of specs.
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
    where spec_stacks.snapshot = {{ snapshot }} and spec_stacks.stack <> 'root'
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
told as (
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
    from told
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

-- Of each configuration and recipe a few specs, the new ones first: compared each with each, many take long.
comparable as (
    select
        package, stack, hash, version, compiler_family, compiler_version, target, os, variants, namespace,
        package_hash, is_new,
        row_number() over (
            partition by
                stack, package, version, compiler_family, compiler_version, target, os, variants, namespace,
                package_hash
            order by is_new desc, hash asc
        ) as place,
    from after
    where package_hash is not null
),

pairs as (
    select
        gone_specs.stack, gone_specs.hash, comparable.is_new,
        comparable.hash as new_hash,
    from gone_specs
    inner join comparable
        on
            gone_specs.stack = comparable.stack
            and gone_specs.package = comparable.package
            and gone_specs.version = comparable.version
            and gone_specs.target = comparable.target
            and gone_specs.os = comparable.os
            and gone_specs.variants = comparable.variants
            and gone_specs.namespace = comparable.namespace
            and gone_specs.package_hash = comparable.package_hash
            and (
                gone_specs.compiler_family = 'none'
                or comparable.compiler_family = 'none'
                or (
                    gone_specs.compiler_family = comparable.compiler_family
                    and gone_specs.compiler_version = comparable.compiler_version
                )
            )
    where comparable.place <= 20
),

hash_pairs as (
    select
        hash, new_hash,
        row_number() over (order by hash, new_hash) as pair,
    from pairs
    group by hash, new_hash
),

{% for side, hash, snapshot in [('old', 'hash', from_snapshot), ('new', 'new_hash', to_snapshot)] -%}
{{ side }}_edges as (
    select hash_pairs.pair, dependencies.dependency, dependencies.dependency_hash,
    from hash_pairs
    inner join dependencies on hash_pairs.{{ hash }} = dependencies.hash
    where dependencies.snapshot = {{ snapshot }}
),

{{ side }}_versions as (
    select
        hash,
        min(version) as version,
    from (
        select hash, version,
        from specs
        where snapshot = {{ snapshot }}
        union all
        select hash, version,
        from records
        where snapshot = {{ snapshot }}
    ) as held
    group by hash
),

{% endfor -%}
one_sided as (
    select
        coalesce(old_edges.pair, new_edges.pair) as pair,
        coalesce(old_edges.dependency, new_edges.dependency) as dependency,
        old_edges.dependency_hash as old_dependency,
        new_edges.dependency_hash as new_dependency,
    from old_edges
    full join new_edges
        on old_edges.pair = new_edges.pair and old_edges.dependency_hash = new_edges.dependency_hash
    where old_edges.pair is null or new_edges.pair is null
),

first_differing as (
    select
        pair,
        count(*) as edges,
        min(dependency) as dependency,
    from one_sided
    group by pair
),

-- What else a hash covers and no configuration names.
alike as (
    select hash_pairs.pair,
    from hash_pairs
    inner join specs as old_specs on hash_pairs.hash = old_specs.hash
    inner join specs as new_specs on hash_pairs.new_hash = new_specs.hash
    left join first_differing on hash_pairs.pair = first_differing.pair
    where
        first_differing.pair is null
        and old_specs.snapshot = {{ from_snapshot }}
        and new_specs.snapshot = {{ to_snapshot }}
        and coalesce(old_specs.patches, []) = coalesce(new_specs.patches, [])
        and coalesce(cast(old_specs.compiler_flags as varchar), '{}') = coalesce(cast(new_specs.compiler_flags as varchar), '{}')
        and coalesce(old_specs.spliced_from, '') = coalesce(new_specs.spliced_from, '')
),

-- The nearest of what is new; the pair's number goes by the order of its hashes.
chosen as (
    select
        pairs.stack, pairs.hash,
        min(
            struct_pack(
                stayed := 1 - pairs.is_new,
                edges := coalesce(first_differing.edges, 0),
                unlike := case when alike.pair is null then 1 else 0 end,
                pair := hash_pairs.pair
            )
        ) as nearest,
    from pairs
    inner join hash_pairs on pairs.hash = hash_pairs.hash and pairs.new_hash = hash_pairs.new_hash
    left join first_differing on hash_pairs.pair = first_differing.pair
    left join alike on hash_pairs.pair = alike.pair
    group by pairs.stack, pairs.hash
),

first_dependencies as (
    select
        one_sided.pair, one_sided.dependency,
        min(one_sided.old_dependency) as old_dependency,
        min(one_sided.new_dependency) as new_dependency,
    from first_differing
    inner join one_sided
        on first_differing.pair = one_sided.pair and first_differing.dependency = one_sided.dependency
    group by one_sided.pair, one_sided.dependency
),

-- A dependency's versions, or its hashes where the versions are the same or not known.
changes as (
    select
        first_dependencies.pair,
        first_dependencies.dependency || ' '
        {%- for side, other in [('old', 'new'), ('new', 'old')] %}
        || case
            when first_dependencies.{{ side }}_dependency is null then 'none'
            when
                coalesce({{ side }}_versions.version <> {{ other }}_versions.version, first_dependencies.{{ other }}_dependency is null)
                then coalesce({{ side }}_versions.version, '/' || substr(first_dependencies.{{ side }}_dependency, 1, 7))
            else '/' || substr(first_dependencies.{{ side }}_dependency, 1, 7)
        end
        {%- if not loop.last %}
        || ' -> '
        {%- endif %}
        {%- endfor %} as change,
    from first_dependencies
    left join old_versions on first_dependencies.old_dependency = old_versions.hash
    left join new_versions on first_dependencies.new_dependency = new_versions.hash
),

reasons as (
    select
        chosen.stack, chosen.hash, changes.change,
        chosen.nearest.stayed,  -- noqa: RF03
        case
            when chosen.nearest.edges > 0 then 'dependency changed'  -- noqa: RF03
            when chosen.nearest.unlike = 0 then 'Spack''s format changed'  -- noqa: RF03
            else 'unknown'
        end as why,
    from chosen
    left join changes on chosen.nearest.pair = changes.pair
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
)

select
    package,
    stack,
    version,  -- version of the lost specs
    compiler,
    target,
    -- stack removed, package gone from the stack, namespace replaced, version replaced, compiler replaced, target
    -- replaced, os replaced, variant replaced; where only the hash changed: recipe changed, dependency changed, Spack's
    -- format changed, or unknown, as pages do not say why; or source missing: not known to be lost
    cause,
    -- what stands there instead: the successor of a removed stack, else the value that replaces; of dependencies the
    -- first by name that differs, with its old and new version, or hashes where versions are the same or not known,
    -- e.g. zlib-ng 2.2.3 -> 2.2.4; NULL where nothing does
    replaced_by,
    count(*) as specs,  -- distinct hashes that the stack has lost
from explained
group by package, stack, version, compiler, target, cause, replaced_by;
