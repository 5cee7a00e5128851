"""Which snapshots and stacks of a warehouse a question is about."""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

import duckdb

from pipeline.errors import NotInWarehouseError
from pipeline.io.progress import number_of
from pipeline.schema import ROOT
from pipeline.words import NEWEST

PREVIOUS = "previous"
LATEST = "latest"
"""The same as :data:`pipeline.words.NEWEST`."""
WORDS = (LATEST, PREVIOUS)
"""Words for a snapshot that are suggested where one is misspelt."""
DAYS_BEFORE = re.compile(r"-([0-9]{1,5})d")
"""So many days before the latest, such as ``-7d``."""
Say = Callable[[str], None]
"""Takes a line for the user."""
_NEWEST_FIRST = ("develop", "weekly", "release", "other")


class Snapshot(NamedTuple):
    """A row of the view ``snapshots``; ``date`` is ISO's, None but for weekly ones.

    ``not_whole`` says which of its sources failed, or is stale or shrunk, and why; None where all are loaded.
    """

    name: str
    kind: str
    date: str | None
    not_whole: str | None = None


class Place(NamedTuple):
    """A snapshot, or one stack of it; ``root`` is a stack here."""

    snapshot: str
    stack: str | None = None

    def __str__(self) -> str:
        return self.snapshot if self.stack is None else f"{self.snapshot}/{self.stack}"


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
    return group_not_loaded(connection, [snapshot])[snapshot]


def group_not_loaded(
    connection: duckdb.DuckDBPyConnection, snapshots: Sequence[str]
) -> defaultdict[str, list[NotLoaded]]:
    """As :func:`list_not_loaded`, of several snapshots, by snapshot."""
    rows = connection.execute(
        "select snapshot, coalesce(source, 'an unknown source'), stack, state, cast(last_seen as varchar), reason "
        "from sources where list_contains(cast(? as varchar[]), snapshot) and state <> 'loaded' "
        "order by stack, source, reason",
        [list(snapshots)],
    ).fetchall()
    grouped = defaultdict(list)
    for snapshot, *cells in rows:
        grouped[snapshot].append(NotLoaded(*cells))
    return grouped


def list_snapshots(connection: duckdb.DuckDBPyConnection) -> list[Snapshot]:
    """The warehouse's snapshots, the newest first.

    That is ``develop``, which changes daily, then the weekly ones and the releases, each the newest
    first, then all others.
    """
    rows = connection.execute(
        "select snapshot, kind, cast(date as varchar) from snapshots order by sort_position desc"
    ).fetchall()
    not_loaded = group_not_loaded(connection, [name for name, *_ in rows])
    snapshots = (Snapshot(name, kind, date, _describe_not_whole(not_loaded[name])) for name, kind, date in rows)
    return sorted(snapshots, key=lambda snapshot: _NEWEST_FIRST.index(snapshot.kind))


def _describe_not_whole(not_loaded: Iterable[NotLoaded]) -> str | None:
    """The first source that failed, or is stale or shrunk, and how many others there are; None where none is."""
    listed = [one.describe() for one in not_loaded if one.state != "empty"]
    if not listed:
        return None
    return listed[0] + (f", and {number_of(len(listed) - 1, 'other source')}" if listed[1:] else "")


def list_earlier(snapshot: Snapshot, snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """Those of ``snapshots`` that come before one in its series, the newest first; before ``develop`` the weekly."""
    kind = "weekly" if snapshot.kind == "develop" else snapshot.kind
    return [one for one in snapshots[snapshots.index(snapshot) + 1 :] if one.kind == kind]


def list_before(connection: duckdb.DuckDBPyConnection, names: Sequence[str]) -> list[str]:
    """The snapshots that come before any of those named in its series, and are none of them; the newest first."""
    snapshots = list_snapshots(connection)
    before = {one for this in snapshots if this.name in names for one in list_earlier(this, snapshots)}
    return [one.name for one in snapshots if one in before and one.name not in names]


def find_snapshot(name: str, seen_from: Snapshot | None, snapshots: Sequence[Snapshot], say: Say) -> Snapshot | None:
    """The one of ``snapshots``, the newest first, that a name, pattern or word means; None: it is not there.

    A snapshot so named comes first, then the weekly one of that day, as ``2025-06-01``, then the newest that a pattern
    such as ``develop-2025-*`` matches. Else ``latest`` and ``newest`` are the first of all. ``previous`` is the one
    before ``seen_from`` in its series (for ``develop`` the newest weekly); those that are not whole are skipped, and
    ``say`` takes which and why. ``-7d`` is the newest weekly one that is 7 days older at least than ``seen_from``,
    which without a date counts as of the newest weekly one's. ``seen_from`` None is the latest.
    """
    tests: list[Callable[[Snapshot], bool]] = [
        lambda one: one.name == name,
        lambda one: one.date == name,
        lambda one: fnmatchcase(one.name, name),
    ]
    for test in tests:
        if named := next(filter(test, snapshots), None):
            return named
    if not snapshots:
        return None
    if seen_from is None:
        seen_from = snapshots[0]
    if name in (LATEST, NEWEST):
        return snapshots[0]
    if name == PREVIOUS:
        return _find_previous(seen_from, snapshots, say)
    if days := DAYS_BEFORE.fullmatch(name):
        dates = [(one, dt.date.fromisoformat(one.date)) for one in snapshots if one.date]
        end = next((date for one, date in dates if seen_from.date in (None, one.date)), None)
        return next((one for one, date in dates if end and (end - date).days >= int(days[1])), None)
    return None


def _find_previous(seen_from: Snapshot, snapshots: Sequence[Snapshot], say: Say) -> Snapshot | None:
    for one in list_earlier(seen_from, snapshots):
        if one.not_whole is None:
            return one
        say(f"previous is not {one.name}: {one.not_whole}")
    return None


def choose_snapshots(connection: duckdb.DuckDBPyConnection, names: Iterable[str], say: Say) -> list[str]:
    """The snapshots of names, patterns and words, all where there are none; the newest first.

    A pattern names all that it matches. Words are as of :func:`find_snapshot`, seen from the latest.

    Raises:
        NotInWarehouseError: one is not there.
    """
    snapshots = list_snapshots(connection)
    wanted = sorted(set(names))
    held = {one.name for one in snapshots}
    chosen = set()
    for name in wanted:
        matching = {name} & held or {one for one in held if fnmatchcase(one, name)}
        chosen |= matching or {_require_snapshot(name, snapshots, say).name}
    return [one.name for one in snapshots if not wanted or one.name in chosen]


def choose_snapshot(connection: duckdb.DuckDBPyConnection, name: str | None, say: Say) -> str:
    """The snapshot of a name or word, the newest of a pattern or of all; see :func:`choose_snapshots`.

    Raises:
        NotInWarehouseError: it is not there, or there is none.
    """
    return choose_snapshots(connection, [NEWEST if name is None else name], say)[0]


def _require_snapshot(name: str, snapshots: Sequence[Snapshot], say: Say) -> Snapshot:
    found = find_snapshot(name, None, snapshots, say)
    if found is None:
        raise NotInWarehouseError("snapshot", name, [one.name for one in snapshots], WORDS)
    return found


def choose_places(connection: duckdb.DuckDBPyConnection, before: str, after: str, say: Say) -> tuple[Place, Place]:
    """What two texts ``SNAPSHOT`` or ``SNAPSHOT/STACK`` name: two snapshots, or two stacks.

    Where one alone names a stack, it is the other's, too.

    Raises:
        NotInWarehouseError: there is no such snapshot, or no such stack in it.
    """
    snapshots = list_snapshots(connection)
    said: set[str] = set()

    def say_once(line: str) -> None:
        if line not in said:
            said.add(line)
            say(line)

    first, second = (_choose_place(name, snapshots, say_once) for name in (before, after))
    stack = first.stack or second.stack
    first, second = first._replace(stack=stack), second._replace(stack=second.stack or stack)
    for place in (first, second):
        if place.stack is not None:
            held = [*list_stacks(connection, [place.snapshot]), ROOT]
            if place.stack not in held:
                raise NotInWarehouseError("stack", str(place), [f"{place.snapshot}/{stack}" for stack in held])
    return first, second


def _choose_place(name: str, snapshots: Sequence[Snapshot], say: Say) -> Place:
    """A snapshot so named comes first; of a name with several slashes the longest that is a snapshot's."""
    parts = name.split("/")
    for end in range(len(parts), 0, -1):
        found = find_snapshot("/".join(parts[:end]), None, snapshots, say)
        if found:
            return Place(found.name, "/".join(parts[end:]) or None)
    raise NotInWarehouseError("snapshot", name, [one.name for one in snapshots], WORDS)


def list_stacks(connection: duckdb.DuckDBPyConnection, snapshots: Sequence[str]) -> list[str]:
    """The stacks that hold a spec in any of ``snapshots``, in text order, without root."""
    rows = connection.execute(
        "select distinct stack from spec_stacks where list_contains(?, snapshot) order by stack", [list(snapshots)]
    ).fetchall()
    return [stack for (stack,) in rows if stack != ROOT]


def refuse_unknown_packages(connection: duckdb.DuckDBPyConnection, packages: Iterable[str]) -> None:
    """Make sure that each package has a spec in some snapshot.

    Raises:
        NotInWarehouseError: one has none.
    """
    if not (asked := list(packages)):
        return
    held = [name for (name,) in connection.execute("select distinct package from specs order by package").fetchall()]
    for package in asked:
        if package not in held:
            raise NotInWarehouseError("package", package, held)


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
