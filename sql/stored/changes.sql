-- changes: what came and left between two snapshots, as the table changes has it.
-- Lost are the rows of the macro lost; gained is what the macro lost would find the other way where a stack has
-- nothing of the package before.
with {% include 'departed.sql' %},

{% include 'loss_heads.sql' %},

before_packages as (
    select distinct stack, package,
    from before
),

before_stacks as (
    select distinct stack,
    from before_packages
),

pages_before as (
    select package,
    from loaded_sources
    where snapshot = {{ from_snapshot }} and stack is null
    union
    select package,
    from absences
    where snapshot = {{ from_snapshot }} and other = {{ to_snapshot }}
),

proven_before as (
    select stack,
    from loaded_sources
    where snapshot = {{ from_snapshot }} and package is null
    union
    select stack,
    from stack_absences
    where snapshot = {{ from_snapshot }} and other = {{ to_snapshot }}
),

-- The variants of specs that others replaced. What stands there as it was, under another hash, was not replaced.
replaced as (
    select distinct
        lost_rows.stack, lost_rows.package, lost_rows.version, lost_rows.compiler, lost_rows.target,
        lost_rows.replaced_by,
        {% for side, variants in [('old', 'before.variants'), ('new', "coalesce(lost_rows.replaced_by, '')")] %}
        regexp_extract_all({{ variants }}, '(?:[^\s"]|"(?:[^"\\]|\\.)*")+') as {{ side }}_variants,
        {% endfor %}
    from lost_rows
    inner join before
        on
            lost_rows.stack = before.stack
            and lost_rows.package = before.package
            and lost_rows.version = before.version
            and lost_rows.compiler = before.compiler
            and lost_rows.target = before.target
    left join after as same on before.stack = same.stack and before.hash = same.hash
    left join after as standing
        on
            before.stack = standing.stack
            and before.package = standing.package
            and before.version = standing.version
            and before.compiler = standing.compiler
            and before.target = standing.target
            and before.variants = standing.variants
    where lost_rows.cause = 'variant replaced' and same.hash is null and standing.hash is null
),

weighed as (
    select
        stack, package, version, compiler, target, replaced_by,
        list_filter(old_variants, lambda one: not list_contains(new_variants, one)) as variants_lost,
        list_filter(new_variants, lambda one: not list_contains(old_variants, one)) as variants_gained,
    from replaced
),

-- Where several were replaced by one, that which is the nearest to it.
nearest as (
    select
        stack, package, version, compiler, target, replaced_by,
        min(
            struct_pack(
                apart := len(variants_lost) + len(variants_gained),
                variants_lost := variants_lost,
                variants_gained := variants_gained
            )
        ) as pair,
    from weighed
    group by stack, package, version, compiler, target, replaced_by
),

gained as (
    select
        after.stack, after.package, after.version, after.compiler, after.target,
        count(*) as specs,
    from after
    left join before_packages on after.stack = before_packages.stack and after.package = before_packages.package
    where before_packages.package is null
    group by after.stack, after.package, after.version, after.compiler, after.target
)

select
    {{ from_snapshot }} as from_snapshot,
    {{ to_snapshot }} as to_snapshot,
    lost_rows.stack, lost_rows.package,
    'lost' as change,
    lost_rows.cause, lost_rows.version, lost_rows.compiler, lost_rows.target, lost_rows.replaced_by,
    lost_rows.specs, headed.head, nearest.pair.variants_lost, nearest.pair.variants_gained,
from lost_rows
left join headed on lost_rows.stack = headed.stack and lost_rows.package = headed.package
left join nearest
    on
        lost_rows.cause = 'variant replaced'
        and lost_rows.stack = nearest.stack
        and lost_rows.package = nearest.package
        and lost_rows.version = nearest.version
        and lost_rows.compiler = nearest.compiler
        and lost_rows.target = nearest.target
        and lost_rows.replaced_by is not distinct from nearest.replaced_by
union all
select
    {{ from_snapshot }} as from_snapshot,
    {{ to_snapshot }} as to_snapshot,
    gained.stack, gained.package,
    'gained' as change,
    case
        when pages_before.package is null and proven_before.stack is null then 'source missing'
        when before_stacks.stack is null then 'stack added'
        else 'package new in the stack'
    end as cause,
    gained.version, gained.compiler, gained.target,
    null as replaced_by,
    gained.specs,
    null as head,
    null as variants_lost,
    null as variants_gained,
from gained
left join before_stacks on gained.stack = before_stacks.stack
left join pages_before on gained.package = pages_before.package
left join proven_before on gained.stack = proven_before.stack;
