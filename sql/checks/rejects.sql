-- rejects: everything was read and loaded. (warning)
select
    path,
    place,
    reason,
from rejects;
