-- matrix_by_{{ axis }}_columns: every {{ axis }} has a column of its own in matrix_by_{{ axis }}, which has {{ most_columns }} at most; coverage_by_{{ axis }} has all. (warning of all snapshots)
select
    {{ axis }},
    count(*) as specs,
from {{ table }}
where {{ axis }} not in ({% if axis == 'stack' %}'root', {% endif %}{{ columns | map('first') | join(', ') or 'null' }})
group by {{ axis }}
order by specs desc, {{ axis }};
