{#- Steps "lost_rows", as the macro lost gives them, and "departed", the packages among them that are gone from a stack whole. -#}
{% include 'lost_rows.sql' %},

departed as (
    select distinct stack, package,
    from lost_rows
    where cause in ('stack removed', 'package gone from the stack')
)
