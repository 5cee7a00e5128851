-- lost: what each stack no longer holds, with the cause: a row per package, stack, version, compiler, target, cause and replacement.
-- A lost spec is compared with what the stack has of the package now, and the nearest gives the cause:
-- the first of version, compiler, target, os and variants in which that differs. The compiler none
-- differs from no other: Spack before 1.0 gave a compiler to packages without compiled code too.
-- Where it differs in none of them only the hash changed, and the spec is compared with those of its configuration
-- that are new in the stack (with those that stayed, where none is new): first with one of the same recipe, then with
-- the one of which the fewest direct dependencies differ. A hash covers the recipe, the dependencies' hashes and what is
-- compared here; where all are the same, Spack itself hashes otherwise: it has another format of specs.
-- A package of another namespace is another recipe, and the nearest only where the stack has nothing else of that
-- name. A spec without a namespace has the package's only one of both snapshots;
-- where they have none or several, NULL is one more.
-- Where the sources did not load whole (see loaded_sources, absences, stack_absences) the cause is source missing: no loss
-- is proven.
--   from_snapshot
--   to_snapshot
with {% include 'lost_rows.sql' %}

select
    package,
    stack,
    version,  -- version of the lost specs
    compiler,
    target,
    -- stack removed, package gone from the stack, namespace replaced, version replaced, compiler replaced, target
    -- replaced, os replaced, variant replaced; where only the hash changed: recipe changed, dependency changed, Spack's
    -- format changed, or unknown, as pages do not say why; or source missing: not known to be lost
    cause,
    -- what stands there instead: the successor of a removed stack, else the value that replaces; of dependencies the
    -- first by name that differs, with its old and new version, or hashes where versions are the same or not known,
    -- e.g. zlib-ng 2.2.3 -> 2.2.4; NULL where nothing does
    replaced_by,
    specs,  -- distinct hashes that the stack has lost
from lost_rows;
