-- spec_stacks: a row per snapshot, spec and stack that holds it, root included.
-- Made of the table stored_specs, which has a row per snapshot and spec. What a place says otherwise than the
-- others stands in places: in the order of the stacks, root last.
create view spec_stacks as
with placed as (
    select
        *,
        unnest(case when in_root then list_append(stacks, 'root') else stacks end) as stack,
        unnest(places) as place,
    from stored_specs
)

select
    {%- for column in long %}
        {%- if column in ('source', 'size_bytes', 'tarball_url') %}
            case when places is null then {{ column }} else place.{{ column }} end as {{ column }},
        {%- else %}
            {{ column }},
        {%- endif %}
    {%- endfor %}
from placed;
