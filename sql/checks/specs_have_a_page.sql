-- specs_have_a_page: every spec comes from a page of its own snapshot and package.
select distinct
    spec_stacks.snapshot,
    spec_stacks.package,
    spec_stacks.source,
from spec_stacks
left join pages
    on
        spec_stacks.snapshot = pages.snapshot
        and spec_stacks.package = pages.package
        and spec_stacks.source = pages.path
where pages.path is null;
