-- rejects: everything was read and loaded. (warning)
select
    rejects.path,
    rejects.place,
    rejects.reason,
from rejects;
