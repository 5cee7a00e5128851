-- sources_are_loaded: every source was read, and what it holds is of today. (warning)
select source, snapshot, stack, state, last_seen, reason,
from sources
where state <> 'loaded';
