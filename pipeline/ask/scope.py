"""Which snapshots and stacks of a warehouse a question is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import NamedTuple

import duckdb

from pipeline.errors import NotInWarehouseError
from pipeline.schema import ROOT

PREVIOUS = "previous"
_NEWEST_FIRST = ("develop", "weekly", "release", "other")


class Snapshot(NamedTuple):
    """A row of the view ``snapshots``; ``date`` is ISO's, None but for weekly ones."""

    name: str
    kind: str
    date: str | None


class NotLoaded(NamedTuple):
    """A row of the table ``sources`` of a snapshot that is not loaded: what it holds, if anything, is not of today."""

    source: str
    stack: str | None
    state: str
    last_seen: str | None
    reason: str | None

    def describe(self) -> str:
        """In one line what is not of today, since when, and why."""
        since = f" since {self.last_seen}" if self.last_seen else ""
        of = f"the stack {self.stack}" if self.stack else "pages"
        return f"{self.state}{since}: {of} of {self.source}: {self.reason}"


def list_not_loaded(connection: duckdb.DuckDBPyConnection, snapshot: str) -> list[NotLoaded]:
    """The rows of ``sources`` of a snapshot that are not loaded, in the order of stack and source."""
    rows = connection.execute(
        "select coalesce(source, 'an unknown source'), stack, state, cast(last_seen as varchar), reason "
        "from sources where snapshot = ? and state <> 'loaded' order by stack, source, reason",
        [snapshot],
    ).fetchall()
    return [NotLoaded(*row) for row in rows]


def list_snapshots(connection: duckdb.DuckDBPyConnection) -> list[Snapshot]:
    """The warehouse's snapshots, the newest first.

    That is ``develop``, which changes daily, then the weekly ones and the releases, each the newest
    first, then all others.
    """
    rows = connection.execute(
        "select snapshot, kind, cast(date as varchar) from snapshots order by sort_position desc"
    ).fetchall()
    return sorted((Snapshot(*row) for row in rows), key=lambda snapshot: _NEWEST_FIRST.index(snapshot.kind))


def choose_baseline(name: str, snapshot: Snapshot, snapshots: Sequence[Snapshot]) -> Snapshot | None:
    """The snapshot of a name; of ``previous`` the one before in its series, for ``develop`` the newest weekly."""
    if name != PREVIOUS:
        return next((one for one in snapshots if one.name == name), None)
    kind = "weekly" if snapshot.kind == "develop" else snapshot.kind
    later = snapshots[snapshots.index(snapshot) + 1 :]
    return next((one for one in later if one.kind == kind), None)


def choose_snapshots(connection: duckdb.DuckDBPyConnection, names: Iterable[str] = ()) -> list[str]:
    """The named snapshots, all where none is named; the newest first.

    Raises:
        NotInWarehouseError: one is not there.
    """
    held = [snapshot.name for snapshot in list_snapshots(connection)]
    chosen = set(names)
    for name in sorted(chosen - set(held)):
        raise NotInWarehouseError("snapshot", name, held)
    return [name for name in held if not chosen or name in chosen]


def choose_snapshot(connection: duckdb.DuckDBPyConnection, name: str | None) -> str:
    """The named snapshot, or the newest.

    Raises:
        NotInWarehouseError: it is not there, or there is none.
    """
    chosen = choose_snapshots(connection, [name] if name is not None else [])
    if not chosen:
        raise NotInWarehouseError("snapshot", "newest", [])
    return chosen[0]


def list_stacks(connection: duckdb.DuckDBPyConnection, snapshots: Sequence[str]) -> list[str]:
    """The stacks that hold a spec in any of ``snapshots``, in text order, without root."""
    rows = connection.execute(
        "select distinct stack from spec_stacks where list_contains(?, snapshot) order by stack", [list(snapshots)]
    ).fetchall()
    return [stack for (stack,) in rows if stack != ROOT]


def choose_stacks(
    connection: duckdb.DuckDBPyConnection, snapshots: Sequence[str], patterns: Iterable[str]
) -> list[str]:
    """The stacks of ``snapshots`` that ``patterns``, names or globs such as ``e4s*``, name; in text order.

    Raises:
        NotInWarehouseError: a pattern names none.
    """
    patterns = list(patterns)
    if not patterns:
        return []
    held = list_stacks(connection, snapshots)
    chosen: set[str] = set()
    for pattern in patterns:
        found = {stack for stack in held if fnmatchcase(stack, pattern)}
        if not found:
            raise NotInWarehouseError("stack", pattern, held)
        chosen |= found
    return sorted(chosen)


def suggest_names(name: str, names: Iterable[str], count: int = 5) -> list[str]:
    """Those of ``names`` that ``name`` may have been meant for, the likeliest first.

    A language's prefix is often forgotten: for ``numpy`` that is ``py-numpy``, before what is but spelt
    alike.
    """
    listed = sorted(set(names))
    plain = name.lower().replace("_", "-")
    same = [one for one in listed if one.lower() == plain or one.lower().endswith(f"-{plain}")]
    return list(dict.fromkeys([*same, *get_close_matches(plain, listed, count)]))[:count]
