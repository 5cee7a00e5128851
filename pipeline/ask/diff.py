"""What changed between two snapshots, and how two stacks differ: counted, or every hash, configuration or loss.

The answers are those of the table macros ``hash_diff``, ``configuration_diff``, ``lost``, ``loss_heads_between`` and
``stack_diff``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import duckdb

from pipeline.ask.output import Columns
from pipeline.ask.scope import PREVIOUS, Place, Snapshot, find_snapshot, list_snapshots
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
WHOLLY_LOST = ("stack removed", "package gone from the stack")
"""The causes of a loss after which a stack holds nothing of a package."""
_QUOTED_CAUSES = ", ".join(map(quote_text, CAUSES))

ORDERS = {
    "hash": "change desc, package, version_key, hash",
    "configuration": "change desc, package, version, compiler_family, os, platform, target, variants, namespace",
    "lost": f"list_position([{_QUOTED_CAUSES}], cause), package, stack, version, compiler, target, replaced_by",
    "head": "stack, head, package <> head, package",
}
_MACRO_OF = {
    "hash": "hash_diff",
    "configuration": "configuration_diff",
    "lost": "lost",
    "head": "loss_heads_between",
}
_OF_NEIGHBOURS = {
    "lost": "changes where change = 'lost' and",
    "head": "loss_heads where",
}
"""Where the answers on a snapshot and its previous complete one stand already."""

SUMMARY_COLUMNS: Columns = (
    ("what", "VARCHAR"),
    ("change", "VARCHAR"),
    ("cause", "VARCHAR"),
    ("stack", "VARCHAR"),
    ("packages", "BIGINT"),
    ("count", "BIGINT"),
)


CAUSE_COLUMNS: Columns = (("cause", "VARCHAR"), ("packages", "BIGINT"), ("specs", "BIGINT"), ("stacks", "VARCHAR"))
STEADY = 0.005
"""Below this share of the packages before, what came less what left is no change worth a word."""
HEAD_COLUMNS: Columns = (("lost", "VARCHAR"), ("packages", "BIGINT"), ("stacks", "VARCHAR"))
NAMED_STACKS = 3
"""So many stacks of a cause or loss are named in a table, of a cause those that lost the most specs."""


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
    """Every ``hash`` or ``configuration`` lost or gained, every loss (``lost``) with its cause, or what each lost
    package went with (``head``).
    """
    in_stacks = "list_contains($stacks, stack)" if by in _OF_NEIGHBOURS else "list_has_any(stacks, $stacks)"
    within = _filter(asked, in_stacks)
    source = f"{_MACRO_OF[by]}($before, $after)"
    if by in _OF_NEIGHBOURS and _is_kept(connection, asked):
        names = ", ".join(name for name, _ in list_change_columns(connection, by))
        source = f"(select {names} from {_OF_NEIGHBOURS[by]} from_snapshot = $before and to_snapshot = $after)"
    query = f"select * from {source} where {within} order by {ORDERS[by]}"
    return connection.execute(query, _parameters(asked, query)).fetchall()


def _is_kept(connection: duckdb.DuckDBPyConnection, asked: Question) -> bool:
    """Whether the table ``changes`` has the losses between the two snapshots."""
    query = "select 1 from previous_snapshots where snapshot = $after and previous = $before"
    return connection.execute(query, _parameters(asked, query)).fetchone() is not None


class SnapshotDiff:
    """What changed between two snapshots; each part is asked of the warehouse once, and only if it is wanted."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, asked: Question) -> None:
        self.connection, self.asked = connection, asked

    @cached_property
    def lost(self) -> list[tuple[object, ...]]:
        """Every loss with its cause, see :func:`list_changes`."""
        return list_changes(self.connection, self.asked, "lost")

    @cached_property
    def configurations(self) -> list[tuple[object, ...]]:
        """Every configuration lost or gained, see :func:`list_changes`."""
        return list_changes(self.connection, self.asked, "configuration")

    @cached_property
    def heads(self) -> list[tuple[str, str, str]]:
        """Stack, head and package of each package that left a stack, see the view ``loss_heads``."""
        return [
            (str(stack), str(head), str(package))
            for stack, head, package in list_changes(self.connection, self.asked, "head")
        ]

    @cached_property
    def turnover(self) -> list[tuple[str, str, bool]]:
        """The packages that one snapshot alone holds: lost or gained, the package, and whether that is proven.

        It is not where the other side's sources did not load whole: ``hash_diff`` is silent of it. Of all packages
        and stacks, whatever is asked for.
        """
        once = self.connection.execute(
            """
            with held as (select distinct snapshot, package from specs where snapshot in ($before, $after))
            select case when any_value(snapshot) = $before then 'lost' else 'gained' end as change, package
            from held group by package having count(*) = 1
            order by change desc, package
            """,
            {"before": self.asked.before, "after": self.asked.after},
        ).fetchall()
        proven = {(change, package) for change, package, *_ in self._hashes}
        return [(change, package, (change, package) in proven) for change, package in once]

    @cached_property
    def _hashes(self) -> list[tuple[str, str, int]]:
        """By change and package, of all of them, how many of the hashes that one snapshot alone has are asked for."""
        query = f"""
            select change, package, count(case when {_filter(self.asked, "list_has_any(stacks, $stacks)")} then 1 end)
            from hash_diff($before, $after) group by change, package
        """
        return self.connection.execute(query, _parameters(self.asked, query)).fetchall()

    @cached_property
    def configuration_columns(self) -> list[str]:
        """The names of the cells of ``configurations``."""
        return [name for name, _ in list_change_columns(self.connection, "configuration")]

    @cached_property
    def lost_columns(self) -> list[str]:
        """The names of the cells of ``lost``."""
        return [name for name, _ in list_change_columns(self.connection, "lost")]

    @cached_property
    def summary(self) -> ChangeSummary:
        """What changed, counted."""
        totals: list[tuple[object, ...]] = []
        for what, by, found in (
            ("hashes", "hash", self._count_hashes()),
            ("configurations", "configuration", self._count_configurations()),
        ):
            found["kept"] = _count_kept(self.connection, self.asked, by)
            totals += [(what, change, None, None, *found.get(change, (0, 0))) for change in ("lost", "gained", "kept")]
        causes, losses = _sum_up(self.lost, self.lost_columns)
        unknown = [row for row in losses if row[2] == SOURCE_MISSING]
        return ChangeSummary(
            totals,
            [row for row in causes if row[0] != SOURCE_MISSING],
            [row for row in losses if row[2] != SOURCE_MISSING],
            [("specs", "unknown", *row[2:]) for row in unknown],
            self._count_gains(),
        )

    def _count_hashes(self) -> dict[str, tuple[int, int]]:
        """By change: packages and hashes."""
        counts: dict[str, tuple[int, int]] = {}
        for change, _, count in self._hashes:
            if count:
                packages, total = counts.get(change, (0, 0))
                counts[change] = (packages + 1, total + count)
        return counts

    def _count_configurations(self) -> dict[str, tuple[int, int]]:
        """By change: packages and configurations."""
        change, package = map(self.configuration_columns.index, ("change", "package"))
        packages: dict[str, Counter[object]] = defaultdict(Counter)
        for row in self.configurations:
            packages[str(row[change])][row[package]] += 1
        return {one: (len(counts), counts.total()) for one, counts in packages.items()}

    def _count_gains(self) -> list[tuple[object, ...]]:
        """The configurations that each stack gained, those that gained most first; None for root alone."""
        change, package, stacks = map(self.configuration_columns.index, ("change", "package", "stacks"))
        gained: dict[str | None, Counter[object]] = defaultdict(Counter)
        for row in self.configurations:
            held: list[str | None] = row[stacks] or [None]  # type: ignore[assignment]
            for stack in held if row[change] == "gained" else ():
                if not self.asked.stacks or stack in self.asked.stacks:
                    gained[stack][row[package]] += 1
        ranked = sorted(gained.items(), key=lambda item: (-item[1].total(), item[0] is None, item[0] or ""))
        return [("configurations", "gained", None, stack, len(many), many.total()) for stack, many in ranked]


class Comparison(NamedTuple):
    """A snapshot beside its previous complete one; without one, ``previous`` and ``changes`` are None.

    ``skipped`` are lines on those in between that are not complete.
    """

    snapshot: Snapshot
    previous: Snapshot | None
    skipped: list[str]
    changes: SnapshotDiff | None


def compare_with_previous(connection: duckdb.DuckDBPyConnection, name: str) -> Comparison:
    """A snapshot of the warehouse beside the one that ``previous`` is to it."""
    snapshots = list_snapshots(connection)
    this = next(one for one in snapshots if one.name == name)
    skipped: list[str] = []
    previous = find_snapshot(PREVIOUS, this, snapshots, skipped.append)
    changes = SnapshotDiff(connection, Question(previous.name, name)) if previous else None
    return Comparison(this, previous, skipped, changes)


def judge_change(came: int, left: int, before: int, unknown: int = 0) -> str:
    """better, worse or steady: packages that came less those that left, as a share of those before.

    It is unknown where that is said of more than half of those before.
    """
    if 2 * unknown > before:
        return "unknown"
    if not before or abs(came - left) / before < STEADY:
        return "steady"
    return "better" if came > left else "worse"


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
        total = sum(specs[cause, stack] for stack in stacks)
        causes.append((cause, len(set().union(*packages[cause].values())), total, _name_stacks(stacks)))
        losses += [
            ("specs", "lost", cause, stack, len(packages[cause][stack]), specs[cause, stack]) for stack in stacks
        ]
    return causes, losses


def _name_stacks(stacks: Sequence[str]) -> str:
    more = f", … {len(stacks) - NAMED_STACKS:,} more" if len(stacks) > NAMED_STACKS else ""
    return ", ".join(stacks[:NAMED_STACKS]) + more


# Losses by their head


def group_losses(heads: Iterable[tuple[str, str, str]], among: Collection[str] | None = None) -> dict[str, list[str]]:
    """By package, those that went with it in every stack that lost them, of ``heads`` (stack, head, package).

    Each lost package stands once: it is a key, or went with one. ``among`` are those that count, None for all.
    """
    heads_of: dict[str, set[str]] = defaultdict(set)
    for _, head, package in heads:
        heads_of[package].add(head)
    counted = heads_of.keys() if among is None else among
    groups: dict[str, list[str]] = {}
    for package in sorted(counted):
        of = heads_of.get(package, {package})
        head = next(iter(of))
        # A head went with nothing: it is a key itself.
        if len(of) > 1 or head == package or head not in counted or heads_of[head] != {head}:
            groups.setdefault(package, [])
        else:
            groups.setdefault(head, []).append(package)
    return groups


def describe_loss(head: str, packages: int) -> str:
    """A lost package and how many went with it."""
    return f"{head} and {packages:,} that went with it" if packages else head


def sum_up_losses(heads: Sequence[tuple[str, str, str]]) -> list[tuple[object, ...]]:
    """Rows of :data:`HEAD_COLUMNS`: the losses of the most stacks first, then those of the most packages."""
    stacks: dict[str, list[str]] = defaultdict(list)
    for stack, _, package in heads:
        stacks[package].append(stack)
    ranked = sorted(group_losses(heads).items(), key=lambda one: (-len(stacks[one[0]]), -len(one[1]), one[0]))
    return [
        (describe_loss(head, len(others)), 1 + len(others), _name_stacks(sorted(stacks[head])))
        for head, others in ranked
    ]


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
