-- matrix_by_compiler: a row per snapshot and package, a column per compiler of any snapshot.
-- A view's columns are fixed when it is made: the build writes out those that the data has.
create view matrix_by_compiler as
select
    coverage_by_compiler.snapshot,
    coverage_by_compiler.package,
    {%- for value, column in columns %}
        cast(sum(case when coverage_by_compiler.compiler = {{ value }} then coverage_by_compiler.num_specs else 0 end) as bigint) as {{ column }},
    {%- endfor %}
from coverage_by_compiler
group by
    coverage_by_compiler.snapshot,
    coverage_by_compiler.package;
