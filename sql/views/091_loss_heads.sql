-- loss_heads: what each lost package went with: a row per snapshot, stack and package that left it since the one before.
-- Each snapshot with its previous complete one (see previous_snapshots and changes). A head is a lost package that no
-- other package lost by the stack needed there; one that was needed goes to the head above it, of several to that with
-- the most below. Where the source lists no dependencies, as pages do not, each package is its own head.
create view loss_heads as
select distinct
    from_snapshot,
    to_snapshot,
    stack,  -- CI stack that lost the package
    head,  -- lost package that no other lost one needed, and that needed the package; or the package itself
    package,  -- package that is proven to be gone from the stack
from changes
where head is not null;
