-- hash_is_one_spec: within a snapshot a hash is one spec of one package.
select
    spec_stacks.snapshot,
    spec_stacks.hash,
    min(spec_stacks.package) as package,
    max(spec_stacks.package) as other_package,
from spec_stacks
group by
    spec_stacks.snapshot,
    spec_stacks.hash
having
    min(spec_stacks.package) <> max(spec_stacks.package)
    or min(spec_stacks.version) <> max(spec_stacks.version)
    or min(spec_stacks.compiler_raw) <> max(spec_stacks.compiler_raw)
    or min(spec_stacks.target) <> max(spec_stacks.target);
