-- matrix_by_stack: a row per snapshot and package, a column per stack of any snapshot.
-- Packages that stand in root alone have a row of zeros.
-- A view's columns are fixed when it is made: the build writes out those that the data has.
create view matrix_by_stack as
select
    spec_stacks.snapshot,
    spec_stacks.package,
    {%- for value, column in columns %}
        count(case when spec_stacks.stack = {{ value }} then 1 end) as {{ column }},
    {%- endfor %}
from spec_stacks
group by
    spec_stacks.snapshot,
    spec_stacks.package;
