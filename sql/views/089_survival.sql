-- survival: what of a snapshot is still in the next of its series: a row per snapshot that has one before it.
-- What the later one's sources did not load whole (see loaded_sources and absences) is not counted: whether
-- that survived is not known. A configuration that differs by having the compiler none is the same: Spack
-- before 1.0 gave a compiler to packages without compiled code too. A spec without a namespace has the package's
-- only one of both snapshots; where they have none or several, NULL is one more.
create view survival as
with consecutive as (
    select
        series, snapshot, date,
        lag(snapshot) over (partition by series order by position) as previous_snapshot,
        lag(date) over (partition by series order by position) as previous_date,
    from calendar
    where snapshot is not null and series in ('weekly', 'release')
),

pairs as (
    select
        series, snapshot, previous_snapshot,
        date_diff('day', previous_date, date) // 7 as weeks,
    from consecutive
    where previous_snapshot is not null
),

-- The one namespace of a package in both snapshots of a pair.
spaces as (
    select
        snapshot, package,
        min(namespace) as lowest,
        max(namespace) as highest,
    from specs
    where namespace is not null
    group by snapshot, package
),

in_either as (
    select pairs.snapshot, spaces.package, spaces.lowest, spaces.highest,
    from pairs
    inner join spaces on pairs.snapshot = spaces.snapshot
    union all
    select pairs.snapshot, spaces.package, spaces.lowest, spaces.highest,
    from pairs
    inner join spaces on pairs.previous_snapshot = spaces.snapshot
),

named as (
    select
        snapshot, package,
        min(lowest) as namespace,
    from in_either
    group by snapshot, package
    having min(lowest) = max(highest)
),

earlier as (
    select
        pairs.snapshot, spec_stacks.hash, spec_stacks.package, spec_stacks.version,
        spec_stacks.compiler_family, spec_stacks.os, spec_stacks.platform, spec_stacks.target,
        spec_stacks.variants, spec_stacks.namespace,
        bool_or(page.snapshot is null and index.snapshot is null and absences.snapshot is null) as doubted,
    from pairs
    inner join spec_stacks on pairs.previous_snapshot = spec_stacks.snapshot
    left join loaded_sources as page
        on pairs.snapshot = page.snapshot and spec_stacks.package = page.package and page.stack is null
    left join loaded_sources as index
        on pairs.snapshot = index.snapshot and spec_stacks.stack = index.stack and index.package is null
    left join absences
        on
            pairs.snapshot = absences.snapshot
            and pairs.previous_snapshot = absences.other
            and spec_stacks.package = absences.package
    group by
        pairs.snapshot, spec_stacks.hash, spec_stacks.package, spec_stacks.version,
        spec_stacks.compiler_family, spec_stacks.os, spec_stacks.platform, spec_stacks.target,
        spec_stacks.variants, spec_stacks.namespace
),

later as (
    select distinct snapshot, hash,
    from spec_stacks
),

specs_counted as (
    select
        earlier.snapshot,
        count(case when not earlier.doubted then 1 end) as specs,
        count(case when not earlier.doubted then later.hash end) as survived,
    from earlier
    left join later on earlier.snapshot = later.snapshot and earlier.hash = later.hash
    group by earlier.snapshot
),

earlier_configurations as (
    select
        earlier.snapshot, earlier.package, earlier.version, earlier.compiler_family, earlier.os,
        earlier.platform, earlier.target,
        variant_sets.variants_key as variants,
        coalesce(earlier.namespace, named.namespace, '') as namespace,
    from earlier
    inner join variant_sets on earlier.variants = variant_sets.variants
    left join named on earlier.snapshot = named.snapshot and earlier.package = named.package
    group by
        earlier.snapshot, earlier.package, earlier.version, earlier.compiler_family, earlier.os,
        earlier.platform, earlier.target, variant_sets.variants_key,
        coalesce(earlier.namespace, named.namespace, '')
    having not bool_or(earlier.doubted)
),

later_configurations as (
    select distinct
        spec_stacks.snapshot, spec_stacks.package, spec_stacks.version, spec_stacks.compiler_family,
        spec_stacks.os, spec_stacks.platform, spec_stacks.target,
        variant_sets.variants_key as variants,
        coalesce(spec_stacks.namespace, named.namespace, '') as namespace,
    from spec_stacks
    inner join variant_sets on spec_stacks.variants = variant_sets.variants
    left join named on spec_stacks.snapshot = named.snapshot and spec_stacks.package = named.package
),

-- Those that differ in their compiler alone, together: not compared each with each.
alike as (
    select
        snapshot, package, version, os, platform, target, variants, namespace,
        bool_or(compiler_family = 'none') as without_compiler,
    from later_configurations
    group by snapshot, package, version, os, platform, target, variants, namespace
),

configurations_counted as (
    select
        earlier_configurations.snapshot,
        count(*) as configurations,
        count(
            case
                when
                    later_configurations.snapshot is not null
                    or (
                        alike.snapshot is not null
                        and (earlier_configurations.compiler_family = 'none' or alike.without_compiler)
                    ) then 1
            end
        ) as survived,
    from earlier_configurations
    left join later_configurations
        on
            earlier_configurations.snapshot = later_configurations.snapshot
            and earlier_configurations.package = later_configurations.package
            and earlier_configurations.version = later_configurations.version
            and earlier_configurations.compiler_family = later_configurations.compiler_family
            and earlier_configurations.os = later_configurations.os
            and earlier_configurations.platform = later_configurations.platform
            and earlier_configurations.target = later_configurations.target
            and earlier_configurations.variants = later_configurations.variants
            and earlier_configurations.namespace = later_configurations.namespace
    left join alike
        on
            earlier_configurations.snapshot = alike.snapshot
            and earlier_configurations.package = alike.package
            and earlier_configurations.version = alike.version
            and earlier_configurations.os = alike.os
            and earlier_configurations.platform = alike.platform
            and earlier_configurations.target = alike.target
            and earlier_configurations.variants = alike.variants
            and earlier_configurations.namespace = alike.namespace
    group by earlier_configurations.snapshot
)

select
    pairs.series,  -- release or weekly: the kind of both snapshots
    pairs.snapshot,  -- the later snapshot
    pairs.previous_snapshot,  -- the snapshot before it in the series
    pairs.weeks,  -- weeks between them; NULL where they have no dates
    coalesce(specs_counted.specs, 0) as specs,  -- hashes of the earlier one, of sources that the later one has whole too
    coalesce(specs_counted.survived, 0) as specs_survived,  -- those of them that the later one has
    -- specs_survived / specs; NULL where there are none
    case when specs_counted.specs > 0 then cast(specs_counted.survived as double) / specs_counted.specs end as spec_survival,
    coalesce(configurations_counted.configurations, 0) as configurations,  -- configurations of the earlier one, likewise
    coalesce(configurations_counted.survived, 0) as configurations_survived,  -- those that the later one has
    -- configurations_survived / configurations; NULL where there are none
    case
        when configurations_counted.configurations > 0
            then cast(configurations_counted.survived as double) / configurations_counted.configurations
    end as configuration_survival,
from pairs
left join specs_counted on pairs.snapshot = specs_counted.snapshot
left join configurations_counted on pairs.snapshot = configurations_counted.snapshot;
