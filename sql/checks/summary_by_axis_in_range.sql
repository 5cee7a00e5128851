-- summary_by_{{ axis }}_in_range: coverage lies between 0 and 1, and no part exceeds its whole.
select
    snapshot,
    {{ axis }},
    packages,
    packages_total,
    coverage,
    specs,
from summary_by_{{ axis }}
where coverage is null or coverage not between 0 and 1 or packages > packages_total or packages > specs;
