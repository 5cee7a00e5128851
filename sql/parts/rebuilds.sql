{#- After steps "gone_specs" and "after" of the macro lost: step "reasons", why each gone spec was built again as another. -#}
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
        dense_rank() over (order by gone_specs.hash, comparable.hash) as pair,
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
    select distinct pair, hash, new_hash,
    from pairs
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
                pair := pairs.pair
            )
        ) as nearest,
    from pairs
    left join first_differing on pairs.pair = first_differing.pair
    left join alike on pairs.pair = alike.pair
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
named_dependencies as (
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
        chosen.stack, chosen.hash, named_dependencies.change,
        chosen.nearest.stayed,  -- noqa: RF03
        case
            when chosen.nearest.edges > 0 then 'dependency changed'  -- noqa: RF03
            when chosen.nearest.unlike = 0 then 'Spack''s format changed'  -- noqa: RF03
            else 'unknown'
        end as why,
    from chosen
    left join named_dependencies on chosen.nearest.pair = named_dependencies.pair
)
