-- matrix_by_target: a row per snapshot and package, a column per target of any snapshot.
-- A view's columns are fixed when it is made: the build writes out those that the data has.
create view matrix_by_target as
select
    coverage_by_target.snapshot,
    coverage_by_target.package,
    {%- for value, column in columns %}
        cast(sum(case when coverage_by_target.target = {{ value }} then coverage_by_target.num_specs else 0 end) as bigint) as {{ column }},
    {%- endfor %}
from coverage_by_target
group by
    coverage_by_target.snapshot,
    coverage_by_target.package;
