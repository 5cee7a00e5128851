-- survival: a row per weekly snapshot or release that has one before it: what of the earlier one's
-- hashes and configurations it still has. What its sources did not load whole (see loaded_sources and
-- absences) is not counted: whether that survived is not known. A configuration that differs by having
-- the compiler none is the same: Spack before 1.0 gave a compiler to packages without compiled code too.
create view survival as
with consecutive as (
    select
        calendar.series,
        calendar.snapshot,
        calendar.date,
        lag(calendar.snapshot) over (partition by calendar.series order by calendar.position) as previous_snapshot,
        lag(calendar.date) over (partition by calendar.series order by calendar.position) as previous_date,
    from calendar
    where calendar.snapshot is not null and calendar.series in ('weekly', 'release')
),

pairs as (
    select
        consecutive.series,
        consecutive.snapshot,
        consecutive.previous_snapshot,
        date_diff('day', consecutive.previous_date, consecutive.date) // 7 as weeks,
    from consecutive
    where consecutive.previous_snapshot is not null
),

earlier as (
    select
        pairs.snapshot,
        spec_stacks.hash,
        spec_stacks.package,
        spec_stacks.version,
        spec_stacks.compiler_family,
        spec_stacks.os,
        spec_stacks.platform,
        spec_stacks.target,
        spec_stacks.variants,
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
        pairs.snapshot,
        spec_stacks.hash,
        spec_stacks.package,
        spec_stacks.version,
        spec_stacks.compiler_family,
        spec_stacks.os,
        spec_stacks.platform,
        spec_stacks.target,
        spec_stacks.variants
),

later as (
    select distinct
        spec_stacks.snapshot,
        spec_stacks.hash,
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
        earlier.snapshot,
        earlier.package,
        earlier.version,
        earlier.compiler_family,
        earlier.os,
        earlier.platform,
        earlier.target,
        variant_sets.variants_key as variants,
    from earlier
    inner join variant_sets on earlier.variants = variant_sets.variants
    group by
        earlier.snapshot,
        earlier.package,
        earlier.version,
        earlier.compiler_family,
        earlier.os,
        earlier.platform,
        earlier.target,
        variant_sets.variants_key
    having not bool_or(earlier.doubted)
),

-- The families of a configuration that differs in nothing else, on the later side.
later_configurations as (
    select
        spec_stacks.snapshot,
        spec_stacks.package,
        spec_stacks.version,
        spec_stacks.os,
        spec_stacks.platform,
        spec_stacks.target,
        variant_sets.variants_key as variants,
        array_agg(distinct spec_stacks.compiler_family) as families,
    from spec_stacks
    inner join variant_sets on spec_stacks.variants = variant_sets.variants
    group by
        spec_stacks.snapshot,
        spec_stacks.package,
        spec_stacks.version,
        spec_stacks.os,
        spec_stacks.platform,
        spec_stacks.target,
        variant_sets.variants_key
),

configurations_counted as (
    select
        earlier_configurations.snapshot,
        count(*) as configurations,
        count(
            case
                when
                    later_configurations.snapshot is not null
                    and (
                        earlier_configurations.compiler_family = 'none'
                        or list_contains(later_configurations.families, earlier_configurations.compiler_family)
                        or list_contains(later_configurations.families, 'none')
                    ) then 1
            end
        ) as survived,
    from earlier_configurations
    left join later_configurations
        on
            earlier_configurations.snapshot = later_configurations.snapshot
            and earlier_configurations.package = later_configurations.package
            and earlier_configurations.version = later_configurations.version
            and earlier_configurations.os = later_configurations.os
            and earlier_configurations.platform = later_configurations.platform
            and earlier_configurations.target = later_configurations.target
            and earlier_configurations.variants = later_configurations.variants
    group by earlier_configurations.snapshot
)

select
    pairs.series,
    pairs.snapshot,
    pairs.previous_snapshot,
    pairs.weeks,
    coalesce(specs_counted.specs, 0) as specs,
    coalesce(specs_counted.survived, 0) as specs_survived,
    case when specs_counted.specs > 0 then cast(specs_counted.survived as double) / specs_counted.specs end as spec_survival,
    coalesce(configurations_counted.configurations, 0) as configurations,
    coalesce(configurations_counted.survived, 0) as configurations_survived,
    case
        when configurations_counted.configurations > 0
            then cast(configurations_counted.survived as double) / configurations_counted.configurations
    end as configuration_survival,
from pairs
left join specs_counted on pairs.snapshot = specs_counted.snapshot
left join configurations_counted on pairs.snapshot = configurations_counted.snapshot;
