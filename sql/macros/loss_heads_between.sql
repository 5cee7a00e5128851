-- loss_heads_between: what each lost package went with, for any two snapshots: a row per stack and package that left it.
-- As the view loss_heads for neighbours. It is for DuckDB 1.4 and newer: older ones work out each of its many steps
-- anew wherever that is read.
--   from_snapshot
--   to_snapshot
with {% include 'departed.sql' %},

{% include 'loss_heads.sql' %}

select
    stack,  -- CI stack that lost the package
    head,  -- lost package that no other lost one needed, and that needed the package; or the package itself
    package,  -- package that is proven to be gone from the stack
from headed;
