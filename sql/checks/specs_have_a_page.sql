-- specs_have_a_page: every spec comes from a page of its own snapshot and package, or an index of its stack.
select distinct spec_stacks.snapshot, spec_stacks.package, spec_stacks.stack, spec_stacks.source,
from spec_stacks
left join pages
    on
        spec_stacks.snapshot = pages.snapshot
        and spec_stacks.source = pages.path
        and (spec_stacks.package = pages.package or spec_stacks.stack = pages.stack)
where pages.path is null;
