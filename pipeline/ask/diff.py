"""What changed between two snapshots, and how two stacks differ: counted, or every hash, configuration or loss.

The answers are those of the table macros ``hash_diff``, ``configuration_diff``, ``lost`` and ``stack_diff``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import duckdb

from pipeline.ask.output import Columns
from pipeline.ask.scope import Place
from pipeline.store.database import list_columns, quote_text

SOURCE_MISSING = "source missing"
REBUILT = ("recipe changed", "dependency changed", "Spack's format changed", "unknown")
"""The causes of a loss where only the hash changed; ``unknown`` where no index says why, as of pages."""
CAUSES = (
    "stack removed",
    "package gone from the stack",
    "namespace replaced",
    "version replaced",
    "compiler replaced",
    "target replaced",
    "os replaced",
    "variant replaced",
    *REBUILT,
    SOURCE_MISSING,
)
"""In the order in which they are listed: the gravest loss first, and last what is not known to be one."""
_QUOTED_CAUSES = ", ".join(map(quote_text, CAUSES))

ORDERS = {
    "hash": "change desc, package, version_key, hash",
    "configuration": "change desc, package, version, compiler_family, os, platform, target, variants, namespace",
    "lost": f"list_position([{_QUOTED_CAUSES}], cause), package, stack, version, compiler, target, replaced_by",
}
_MACRO_OF = {"hash": "hash_diff", "configuration": "configuration_diff", "lost": "lost"}

SUMMARY_COLUMNS: Columns = (
    ("what", "VARCHAR"),
    ("change", "VARCHAR"),
    ("cause", "VARCHAR"),
    ("stack", "VARCHAR"),
    ("packages", "BIGINT"),
    ("count", "BIGINT"),
)


CAUSE_COLUMNS: Columns = (("cause", "VARCHAR"), ("packages", "BIGINT"), ("specs", "BIGINT"), ("stacks", "VARCHAR"))
NAMED_STACKS = 3
"""So many stacks of a cause are named in a table, those that lost the most specs."""


class ChangeSummary(NamedTuple):
    """Rows of :data:`SUMMARY_COLUMNS`, and ``causes`` of :data:`CAUSE_COLUMNS`.

    ``totals`` counts hashes and configurations lost, gained and kept; ``losses`` the specs that each
    stack lost by cause, and ``causes`` those of all stacks; ``unknown`` the specs that each stack may
    have lost or not; ``gains`` the configurations that each stack, or none but root, gained.
    """

    totals: list[tuple[object, ...]]
    causes: list[tuple[object, ...]]
    losses: list[tuple[object, ...]]
    unknown: list[tuple[object, ...]]
    gains: list[tuple[object, ...]]

    def rows(self) -> list[tuple[object, ...]]:
        """All of them as one table."""
        return [*self.totals, *self.losses, *self.unknown, *self.gains]


class Question(NamedTuple):
    """From which snapshot to which; the packages and stacks that count, all where none is named."""

    before: str
    after: str
    packages: Sequence[str] = ()
    stacks: Sequence[str] = ()


def list_change_columns(connection: duckdb.DuckDBPyConnection, by: str) -> Columns:
    """The columns of :func:`list_changes` by what is compared."""
    return list_columns(connection, f"{_MACRO_OF[by]}(null, null)")


def list_changes(connection: duckdb.DuckDBPyConnection, asked: Question, by: str) -> list[tuple[object, ...]]:
    """Every ``hash`` or ``configuration`` lost or gained, or every loss (``lost``) with its cause."""
    within = _filter(asked, "list_contains($stacks, stack)" if by == "lost" else "list_has_any(stacks, $stacks)")
    query = f"select * from {_MACRO_OF[by]}($before, $after) where {within} order by {ORDERS[by]}"
    return connection.execute(query, _parameters(asked, query)).fetchall()


def list_turnover(connection: duckdb.DuckDBPyConnection, asked: Question) -> list[tuple[str, str, bool]]:
    """The packages that one snapshot alone holds: lost or gained, the package, and whether that is proven.

    It is not where the other side's sources did not load whole: ``hash_diff`` is silent of it. Of all packages
    and stacks, whatever ``asked`` names.
    """
    return connection.execute(
        """
        with held as (select distinct snapshot, package from specs where snapshot in ($before, $after)),
        once as (select package, any_value(snapshot) as snapshot from held group by package having count(*) = 1),
        proven as (select distinct change, package from hash_diff($before, $after))
        select
            case when once.snapshot = $before then 'lost' else 'gained' end as change,
            once.package,
            proven.package is not null as proven
        from once
        left join proven
            on once.package = proven.package
            and proven.change = case when once.snapshot = $before then 'lost' else 'gained' end
        order by change desc, once.package
        """,
        {"before": asked.before, "after": asked.after},
    ).fetchall()


def summarise_changes(connection: duckdb.DuckDBPyConnection, asked: Question) -> ChangeSummary:
    """What changed, counted."""
    totals: list[tuple[object, ...]] = []
    among = _filter(asked, "list_has_any(stacks, $stacks)")
    for what, by in (("hashes", "hash"), ("configurations", "configuration")):
        query = f"""
            select change, count(distinct package), count(*) from {_MACRO_OF[by]}($before, $after)
            where {among} group by change
        """
        rows = connection.execute(query, _parameters(asked, query)).fetchall()
        found: dict[str, tuple[int, int]] = {change: (packages, count) for change, packages, count in rows}
        found["kept"] = _count_kept(connection, asked, by)
        totals += [(what, change, None, None, *found.get(change, (0, 0))) for change in ("lost", "gained", "kept")]
    lost = list_changes(connection, asked, "lost")
    causes, losses = _sum_up(lost, [name for name, _ in list_change_columns(connection, "lost")])
    gains = _count_gains(connection, asked)
    unknown = [row for row in losses if row[2] == SOURCE_MISSING]
    return ChangeSummary(
        totals,
        [row for row in causes if row[0] != SOURCE_MISSING],
        [row for row in losses if row[2] != SOURCE_MISSING],
        [("specs", "unknown", *row[2:]) for row in unknown],
        gains,
    )


def _sum_up(
    lost: Sequence[tuple[object, ...]], names: Sequence[str]
) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Losses by cause, and by cause and stack, in the order of the causes; the stacks that lost most first."""
    specs: Counter[tuple[str, str]] = Counter()
    packages: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in lost:
        one = dict(zip(names, map(str, row), strict=True))
        specs[one["cause"], one["stack"]] += int(one["specs"])
        packages[one["cause"]][one["stack"]].add(one["package"])
    causes: list[tuple[object, ...]] = []
    losses: list[tuple[object, ...]] = []
    for cause in sorted(packages, key=CAUSES.index):
        stacks = sorted(packages[cause], key=lambda stack: (-specs[cause, stack], stack))
        more = f", … {len(stacks) - NAMED_STACKS:,} more" if len(stacks) > NAMED_STACKS else ""
        total = sum(specs[cause, stack] for stack in stacks)
        named = ", ".join(stacks[:NAMED_STACKS]) + more
        causes.append((cause, len(set().union(*packages[cause].values())), total, named))
        losses += [
            ("specs", "lost", cause, stack, len(packages[cause][stack]), specs[cause, stack]) for stack in stacks
        ]
    return causes, losses


def _count_gains(connection: duckdb.DuckDBPyConnection, asked: Question) -> list[tuple[object, ...]]:
    """The configurations that each stack gained, those that gained most first; NULL for root alone."""
    among = _filter(asked, "list_has_any(stacks, $stacks)")
    query = f"""
        select 'configurations', 'gained', null, stack, count(distinct package), count(*) from (
            select package, unnest(case when stacks = [] then [null] else stacks end) as stack
            from configuration_diff($before, $after) where change = 'gained' and {among}
        )
        where {"list_contains($stacks, stack)" if asked.stacks else "true"} group by stack order by 6 desc, stack
    """
    return connection.execute(query, _parameters(asked, query)).fetchall()


# As in the view configurations, but that a namespace is the only one of both snapshots.
_CONFIGURATIONS = """
    with named as (
        select package, min(namespace) as namespace from specs
        where snapshot in ($before, $after) and namespace is not null
        group by package having min(namespace) = max(namespace)
    )
    select
        specs.snapshot, specs.package, specs.version, specs.compiler_family, specs.os, specs.platform, specs.target,
        variant_sets.variants_key as variants,
        coalesce(specs.namespace, named.namespace, '') as namespace,
        list_distinct(flatten(array_agg(specs.stacks))) as stacks
    from specs
    inner join variant_sets on specs.variants = variant_sets.variants
    left join named on specs.package = named.package
    where specs.snapshot in ($before, $after)
    group by all
"""


def _count_kept(connection: duckdb.DuckDBPyConnection, asked: Question, by: str) -> tuple[int, int]:
    """Packages and number of the hashes or configurations that both snapshots have."""
    among = _filter(asked, "list_has_any(stacks, $stacks)")
    if by == "hash":
        held, same = "select * from specs", ["others.hash = held.hash"]
    else:
        held = _CONFIGURATIONS
        # As in configuration_diff: what differs by having no compiler is the same. Each way is a join by a key.
        names = ("package", "version", "os", "platform", "target", "variants", "namespace")
        alike = " and ".join(f"others.{name} = held.{name}" for name in names)
        families = (
            "others.compiler_family = held.compiler_family",
            "others.compiler_family = 'none'",
            "held.compiler_family = 'none'",
        )
        same = [f"{alike} and {family}" for family in families]
    matches = " or ".join(
        f"exists (select 1 from compared as others where others.snapshot = $after and {one})" for one in same
    )
    query = f"""
        with compared as ({held})
        select count(distinct package), count(*) from compared as held
        where snapshot = $before and {among} and ({matches})
    """
    row = connection.execute(query, _parameters(asked, query)).fetchone()
    assert row is not None
    return row[0], row[1]


def _filter(asked: Question, stacks: str) -> str:
    parts = ["list_contains($packages, package)"] if asked.packages else []
    parts += [stacks] if asked.stacks else []
    return " and ".join(parts) or "true"


def _parameters(asked: Question, query: str) -> dict[str, object]:
    """Those of the parameters that a query has."""
    given = {
        "before": asked.before,
        "after": asked.after,
        "packages": list(asked.packages),
        "stacks": list(asked.stacks),
    }
    return {name: value for name, value in given.items() if f"${name}" in query}


# Two stacks

STACK_KINDS = ("package", "configuration", "hash")
STACK_COUNT_COLUMNS: Columns = (
    ("what", "VARCHAR"),
    ("only_first", "BIGINT"),
    ("only_second", "BIGINT"),
    ("both", "BIGINT"),
)
_STACK_ORDER = "held_by, package, version, compiler_family, os, platform, target, variants, namespace, hash"


def count_stack_diff(
    connection: duckdb.DuckDBPyConnection, first: Place, second: Place, packages: Sequence[str] = ()
) -> list[tuple[object, ...]]:
    """Rows of :data:`STACK_COUNT_COLUMNS`, one for each of :data:`STACK_KINDS`."""
    source, parameters = _select_stack_diff(first, second, packages)
    rows = connection.execute(f"select what, held_by, count(*) {source} group by what, held_by", parameters).fetchall()
    counts = {(what, held_by): count for what, held_by, count in rows}
    return [(what, *(counts.get((what, held_by), 0) for held_by in ("a", "b", "both"))) for what in STACK_KINDS]


def list_stack_diff(
    connection: duckdb.DuckDBPyConnection, first: Place, second: Place, what: str, packages: Sequence[str] = ()
) -> tuple[Columns, list[tuple[object, ...]]]:
    """Columns and rows of ``stack_diff``: what one of the two alone has; ``what`` is one of :data:`STACK_KINDS`."""
    source, parameters = _select_stack_diff(first, second, packages)
    query = f"select * {source} and what = $what and held_by <> 'both' order by {_STACK_ORDER}"
    rows = connection.execute(query, {**parameters, "what": what}).fetchall()
    return list_columns(connection, "stack_diff(null, null, null, null)"), rows


def _select_stack_diff(first: Place, second: Place, packages: Sequence[str]) -> tuple[str, dict[str, object]]:
    """The clauses that take ``packages``, all where none is named, out of ``stack_diff``, and their parameters."""
    parameters: dict[str, object] = {
        "snapshot_a": first.snapshot,
        "stack_a": first.stack,
        "snapshot_b": second.snapshot,
        "stack_b": second.stack,
        "packages": list(packages),
    }
    chosen = "(len($packages) = 0 or list_contains($packages, package))"
    return f"from stack_diff($snapshot_a, $stack_a, $snapshot_b, $stack_b) where {chosen}", parameters
