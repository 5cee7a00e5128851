-- stored_specs: rows like those of spec_stacks, brought together by snapshot and spec.
-- Rows of one hash that do not say the same stay apart: the check hash_is_one_spec finds them.
insert into stored_specs by name
select
    snapshot,
    package,
    hash,
    {%- for column in said %}
    {{ column }},
    {%- endfor %}
    min(size_bytes) as size_bytes,
    any_value(tarball_url) as tarball_url,
    min(source) as source,
    list_sort(coalesce(array_agg(stack) filter (where stack <> 'root'), [])) as stacks,
    bool_or(stack = 'root') as in_root,
    bool_or(installable) as installable,
    case
        when
            count(distinct source) > 1
            or count(distinct coalesce(size_bytes, -1)) > 1
            or count(distinct coalesce(tarball_url, '')) > 1
            or count(distinct coalesce(cast(installable as varchar), '')) > 1
            then
                array_agg(
                    struct_pack(
                        source := source,
                        size_bytes := size_bytes,
                        tarball_url := tarball_url,
                        installable := installable
                    )
                    order by stack = 'root', stack
                )
    end as places,
from {{ rows }}
group by all;
