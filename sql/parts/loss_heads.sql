{#- After a step "departed" (stack, package), of what from_snapshot had: step "headed", which lost package each went with. -#}
held as (
    select distinct departed.stack, departed.package, spec_stacks.hash,
    from departed
    inner join spec_stacks on departed.stack = spec_stacks.stack and departed.package = spec_stacks.package
    where spec_stacks.snapshot = {{ from_snapshot }}
),

-- Of each lost package, what is lost with it that it needs: itself, and what is one step below; then two, four and so
-- on, up to 64.
below_1 as (
    select stack, package,
        package as below,
    from departed
    union
    select held.stack, held.package,
        needed.package as below,
    from held
    inner join dependencies on held.hash = dependencies.hash
    inner join held as needed on held.stack = needed.stack and dependencies.dependency_hash = needed.hash
    where dependencies.snapshot = {{ from_snapshot }}
),
{% for steps in [1, 2, 4, 8, 16, 32] %}
below_{{ steps * 2 }} as (
    select distinct upper.stack, upper.package, lower.below,
    from below_{{ steps }} as upper
    inner join below_{{ steps }} as lower on upper.stack = lower.stack and upper.below = lower.package
),
{% endfor %}
-- Of those that need one another the first by name stands for all.
topped as (
    select down.stack,
        down.below as package,
        count(*) - count(up.package) as above,
        min(case when up.package is not null then down.package end) as first_of_circle,
    from below_64 as down
    left join below_64 as up
        on
            down.stack = up.stack
            and down.package = up.below
            and down.below = up.package
    group by down.stack, down.below
),

heads as (
    select
        topped.stack, topped.package,
        count(*) as packages,
    from topped
    inner join below_64 on topped.stack = below_64.stack and topped.package = below_64.package
    where topped.above = 0 and topped.first_of_circle = topped.package
    group by topped.stack, topped.package
),

graded as (
    select below_64.stack,
        below_64.below as package,
        heads.package as head,
        row_number() over (
            partition by below_64.stack, below_64.below
            order by case when heads.package = below_64.below then 0 else 1 end, heads.packages desc, heads.package
        ) as place,
    from below_64
    inner join heads on below_64.stack = heads.stack and below_64.package = heads.package
),

-- What no head reaches in 64 steps is its own.
headed as (
    select departed.stack, departed.package,
        coalesce(graded.head, departed.package) as head,
    from departed
    left join graded
        on
            departed.stack = graded.stack
            and departed.package = graded.package
            and graded.place = 1
)
