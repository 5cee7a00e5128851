-- changes: what came and left between two snapshots, as the table changes has it.
-- Lost are the rows of the macro lost; gained is what the macro lost would find the other way where a stack has
-- nothing of the package before.
with {% include 'departed.sql' %},

{% include 'loss_heads.sql' %},

{% for side, snapshot in [('before', from_snapshot), ('after', to_snapshot)] %}
{{ side }} as (
    select package, stack, version, compiler, target, hash,
    from spec_stacks
    where snapshot = {{ snapshot }} and stack <> 'root'
),

{{ side }}_packages as (
    select distinct stack, package,
    from {{ side }}
),
{% endfor %}
before_stacks as (
    select distinct stack,
    from before_packages
),

pages_loaded as (
    select package,
    from loaded_sources
    where snapshot = {{ from_snapshot }} and stack is null
    union
    select package,
    from absences
    where snapshot = {{ from_snapshot }} and other = {{ to_snapshot }}
),

proven as (
    select stack,
    from loaded_sources
    where snapshot = {{ from_snapshot }} and package is null
    union
    select stack,
    from stack_absences
    where snapshot = {{ from_snapshot }} and other = {{ to_snapshot }}
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
    lost_rows.specs, headed.head,
from lost_rows
left join headed on lost_rows.stack = headed.stack and lost_rows.package = headed.package
union all
select
    {{ from_snapshot }} as from_snapshot,
    {{ to_snapshot }} as to_snapshot,
    gained.stack, gained.package,
    'gained' as change,
    case
        when pages_loaded.package is null and proven.stack is null then 'source missing'
        when before_stacks.stack is null then 'stack added'
        else 'package new in the stack'
    end as cause,
    gained.version, gained.compiler, gained.target,
    null as replaced_by,
    gained.specs,
    null as head,
from gained
left join before_stacks on gained.stack = before_stacks.stack
left join pages_loaded on gained.package = pages_loaded.package
left join proven on gained.stack = proven.stack;
