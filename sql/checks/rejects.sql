-- rejects: everything was read and loaded. (warning)
select
    rejects.path,
    rejects.place,
    rejects.reason,
    rejects.snapshot,
from rejects;
