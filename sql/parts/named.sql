{#- Step "named", the namespace of each package that has one and no other in the two snapshots. -#}
named as (
    select
        package,
        min(namespace) as namespace,
    from specs
    where snapshot in ({{ from_snapshot }}, {{ to_snapshot }}) and namespace is not null
    group by package
    having min(namespace) = max(namespace)
)
