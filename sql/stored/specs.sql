-- specs: a row per snapshot and hash, as the table stored_specs has it.
create view specs as
select * exclude (places),
from stored_specs;
