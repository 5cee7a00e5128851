-- no_nulls: no NULL where a column may hold none, and no empty text where one names something.
select {{ filled | join(', ') }},
from spec_stacks
where
    {{ filled | join(' is null or ') }} is null
    or {{ named | join(" = '' or ") }} = '';
