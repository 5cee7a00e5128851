"""What stacks lack that others of their platform have: whether it could be built there, when it was there last.

A gap is *ready* where the stack has every package that a sibling's spec of it links and runs with, by name, and every
one that those link and run with in turn: to build it takes nothing else that the stack has not. What is external for
the sibling counts as there. Any other gap is *blocked*, by what the stack lacks of the closure of that sibling's spec
of which it lacks the fewest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb

from pipeline.ask.output import Columns
from pipeline.ask.scope import list_before
from pipeline.io.progress import name_some

if TYPE_CHECKING:
    from pipeline.ask.gates import Allowances

GAP_COLUMNS: Columns = (
    ("snapshot", "VARCHAR"),
    ("stack", "VARCHAR"),
    ("package", "VARCHAR"),
    ("platform", "VARCHAR"),
    ("held_by", "BIGINT"),
    ("stacks", "VARCHAR[]"),
    ("last_seen", "VARCHAR"),
    ("state", "VARCHAR"),
    ("blocked_by", "VARCHAR[]"),
)
KNOWN_COLUMNS: Columns = (*GAP_COLUMNS, ("known", "VARCHAR"), ("expires", "VARCHAR"))
READY, BLOCKED = "ready", "blocked"
_IS_NEEDED = "list_has_any(deptypes, ['link', 'run'])"
SHOWN_NAMES = 3
CHUNK = 10_000
"""Rows that are Python objects at a time."""


class Gap(NamedTuple):
    """The cells of :data:`KNOWN_COLUMNS`: a row of the view ``gaps``, and what else can be said of it.

    ``last_seen`` is the newest earlier snapshot of the series in which the stack had the package. ``state`` is None
    until it is judged, and where no source says what any sibling's spec needs; pages do not. ``known`` is why the gap
    is on purpose, and ``expires`` the last day on which it is.
    """

    snapshot: str
    stack: str
    package: str
    platform: str
    held_by: int
    stacks: list[str]
    last_seen: str | None
    state: str | None = None
    blocked_by: list[str] | None = None
    known: str | None = None
    expires: str | None = None

    def describe(self) -> str:
        """Its state in a few words; empty where it is not known."""
        if not self.blocked_by:
            return self.state or ""
        return f"{self.state} by {name_some(self.blocked_by, SHOWN_NAMES)}"


def rank_gaps(
    connection: duckdb.DuckDBPyConnection,
    snapshot: str,
    stacks: Sequence[str] = (),
    most: int | None = None,
    among: str = "gaps",
) -> list[Gap]:
    """The gaps of a snapshot, not yet judged, what the most other stacks hold first: all, or at ``most`` so many.

    ``among`` stands after ``from``: the view, or a table of its rows.
    """
    where = "and list_contains($stacks, stack)" if stacks else ""
    given: dict[str, object] = {"snapshot": snapshot, **({"stacks": list(stacks)} if stacks else {})}
    given["earlier"] = list_before(connection, [snapshot])
    rows = connection.execute(
        f"""
        with ranked as (
            select snapshot, stack, package, platform, held_by, stacks,
            from {among}
            where snapshot = $snapshot {where}
            order by held_by desc, stack, package, platform
            {"" if most is None else f"limit {most}"}
        ),

        seen as (
            select stack, platform, package, min(list_position(cast($earlier as varchar[]), snapshot)) as place,
            from spec_stacks
            where
                list_contains(cast($earlier as varchar[]), snapshot)
                and package in (select package from ranked)
            group by stack, platform, package
        )

        select
            snapshot, stack, package, platform, held_by, stacks,
            cast($earlier as varchar[])[place] as last_seen,
        from ranked
        left join seen using (stack, platform, package)
        order by held_by desc, stack, package, platform
        """,
        given,
    ).fetchall()
    return [Gap(*row) for row in rows]


def judge_gaps(connection: duckdb.DuckDBPyConnection, gaps: Sequence[Gap]) -> list[Gap]:
    """``gaps``, all of one snapshot, each with its state and what it is blocked by."""
    if not gaps:
        return []
    snapshot = gaps[0].snapshot
    packages = connection.execute(
        f"select distinct dependency from dependencies where snapshot = ? and {_IS_NEEDED} order by dependency",
        [snapshot],
    ).fetchall()
    names = [name for (name,) in packages]
    bits = {name: 1 << at for at, name in enumerate(names)}
    closures = gather_closures(connection, snapshot, bits)
    held: dict[tuple[str, str], int] = defaultdict(int)
    rows = connection.execute(
        "select distinct stack, platform, package from spec_stacks where snapshot = ?", [snapshot]
    ).fetchall()
    for stack, platform, package in rows:
        held[stack, platform] |= bits.get(package, 0)
    judged = []
    for gap in gaps:
        there = held[gap.stack, gap.platform] | bits.get(gap.package, 0)
        lacking = [closure & ~there for closure in closures[gap.package, gap.platform]]
        if lacking:
            fewest = min(lacking, key=lambda one: (one.bit_count(), one))
            gap = gap._replace(state=BLOCKED if fewest else READY, blocked_by=list(_list_names(fewest, names)))
        judged.append(gap)
    return judged


def gather_closures(
    connection: duckdb.DuckDBPyConnection, snapshot: str, bits: Mapping[str, int]
) -> dict[tuple[str, str], set[int]]:
    """The packages in the closures of the specs in stacks that indexes describe, by (package, platform).

    Packages are the bits of a number: what many closures have in common costs little so, in memory and time. An
    external is taken as it is, and counts for nothing. A spec that would be in its own closure, or needs such a
    one, as no hash can, is left out.
    """
    numbers: dict[str, int] = {}
    given: list[int] = []
    wanted: list[tuple[str, str] | None] = []
    for hash, package, platform, external, in_stacks in _fetch(
        connection,
        """
        select hash, any_value(package), any_value(platform), bool_and(external), bool_or(in_stacks)
        from (
            select hash, package, platform, external, len(stacks) > 0 as in_stacks
            from specs
            where snapshot = $snapshot and external is not null
            union all
            select hash, package, platform, kind = 'external', false
            from records
            where snapshot = $snapshot
        )
        group by hash
        """,
        snapshot,
    ):
        numbers[hash] = len(given)
        given.append(-1 if external else bits.get(package, 0))
        wanted.append((package, platform) if in_stacks else None)
    needing: list[list[int]] = [[] for _ in given]
    pending = [0] * len(given)
    closures = [0] * len(given)
    for hash, needed, package in _fetch(
        connection,
        "select distinct hash, dependency_hash, dependency from dependencies "
        f"where snapshot = $snapshot and {_IS_NEEDED}",
        snapshot,
    ):
        if hash not in numbers:
            continue
        if needed in numbers:
            needing[numbers[needed]].append(numbers[hash])
            pending[numbers[hash]] += 1
        else:
            # No index describes it: it is known by its name alone.
            closures[numbers[hash]] |= bits[package]
    found: dict[tuple[str, str], set[int]] = defaultdict(set)
    waiting = [node for node, count in enumerate(pending) if not count]
    while waiting:
        node = waiting.pop()
        key = wanted[node]
        if key is not None:
            found[key].add(closures[node])
        passed = 0 if given[node] < 0 else given[node] | closures[node]
        closures[node] = 0  # With many specs these are most of the memory.
        for one in needing[node]:
            closures[one] |= passed
            pending[one] -= 1
            if not pending[one]:
                waiting.append(one)
    return found


def _fetch(connection: duckdb.DuckDBPyConnection, query: str, snapshot: str) -> Iterator[tuple[Any, ...]]:
    cursor = connection.execute(query, {"snapshot": snapshot})
    while rows := cursor.fetchmany(CHUNK):
        yield from rows


def _list_names(bits: int, names: Sequence[str]) -> Iterator[str]:
    """Those of ``names`` whose bit is set, in their order."""
    while bits:
        lowest = bits & -bits
        yield names[lowest.bit_length() - 1]
        bits ^= lowest


def lay_out_gaps(
    gaps: Sequence[Gap], allowances: Allowances | None, is_laid_out: bool
) -> list[tuple[Columns, Sequence[Gap]]]:
    """The sections of an answer, each with its columns: where it is laid out, those on purpose after the others.

    Without ``allowances`` nothing is on purpose.
    """
    if allowances is None:
        return [(GAP_COLUMNS, gaps)]
    others, known = [], []
    for gap in gaps:
        allowed, _ = allowances.find(gap.stack, gap.package)
        if allowed is None:
            others.append(gap)
        else:
            known.append(gap._replace(known=allowed.reason, expires=str(allowed.expires)))
    if is_laid_out:
        return [(GAP_COLUMNS, others), (KNOWN_COLUMNS, known)]
    return [(KNOWN_COLUMNS, others + known)]
