{#- Steps "lost_rows", as the macro lost gives them, and "departed", the packages among them that are gone from a stack whole. -#}
lost_rows as (
{% filter trim(';\n') | indent(4, true) %}{% include 'lost.sql' %}{% endfilter %}
),

departed as (
    select distinct stack, package,
    from lost_rows
    where cause in ('stack removed', 'package gone from the stack')
)
