"""Run the checks of ``sql/checks``: each is a query that returns the rows that offend."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

import duckdb

from pipeline.io.progress import run_handlers, watch
from pipeline.layout import STATE, BuildPaths, Layout
from pipeline.schema import PAGES_TABLE, REJECTS, SNAPSHOT_TABLES, SOURCES, TAGS_TABLE
from pipeline.sources.tags import Tags
from pipeline.store.database import (
    attach_database,
    create_tables,
    cut_parts,
    define_view,
    load_snapshots,
    load_tags,
    load_unparted,
    quote_text,
    render,
)
from pipeline.store.sqlfiles import SqlQuery, find_views, list_checks, list_stored
from pipeline.store.state import SnapshotRows, digest_files, read_state

FEW_ROWS = 10_000
"""So many rows are checked sooner than views are made for it once more."""
WARNING = " (warning"
"""How the rule of a check ends that warns of the input: ``(warning)``, or ``(warning of all snapshots)``."""
SHOWN = 5
"""Offenders that are shown of each check."""
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Check:
    """A check and what it found: ``rows`` are the first offenders, ``offenders`` counts all.

    A ``warning`` is about the input (rejects, a wrong ``meta``); any other failed check means that
    the warehouse itself is wrong.
    """

    name: str
    rule: str
    warning: bool
    offenders: int
    columns: list[str]
    rows: list[tuple[object, ...]]

    @property
    def failed(self) -> bool:
        return self.offenders > 0 and not self.warning


def run_checks(connection: duckdb.DuckDBPyConnection, checks: Sequence[SqlQuery] | None = None) -> list[Check]:
    """Run checks, by default every one in the order of their names."""
    return [run_check(connection, check) for check in (list_checks() if checks is None else checks)]


def check_attached(
    connection: duckdb.DuckDBPyConnection,
    snapshots: Iterable[str] | None = None,
    checks: Sequence[SqlQuery] | None = None,
) -> list[Check]:
    """Run checks, by default every one, on the attached database ``warehouse``.

    With ``snapshots`` they see those as if it held no others. The views are made anew over its tables, in memory and
    as far as the checks ask for them.
    """
    checks = list_checks() if checks is None else checks
    # Another connection that lists its tables meanwhile sees this database come and go: it never meets a name twice.
    name = f"checked_{next(_NUMBERS)}"
    connection.execute(f"attach ':memory:' as {name}")
    connection.execute(f"use {name}")
    choose_rows(connection, snapshots)
    connection.execute(list_stored()["spec_stacks"].render())
    for view in find_views(checks):
        define_view(connection, view)
    results = run_checks(connection, checks)
    connection.execute("use memory")
    connection.execute(f"detach {name}")
    return results


def choose_rows(connection: duckdb.DuckDBPyConnection, snapshots: Iterable[str] | None) -> None:
    """Show the tables of the attached warehouse under their own names, all of them or those of some snapshots.

    A filter by name alone would read the whole file for each query: DuckDB passes over row groups by the
    first eight bytes of a text, and the names of snapshots begin alike. The rows of one load stand together.
    """
    if snapshots is None:
        for table in (*SNAPSHOT_TABLES, REJECTS, SOURCES, TAGS_TABLE):
            connection.execute(f"create view {table.name} as from warehouse.{table.name}")
        return
    chosen = ", ".join(map(quote_text, snapshots)) or "null"
    # Rejects without a snapshot are of files that could not be read: of every build.
    where = f"where snapshot in ({chosen}) or snapshot is null"
    for table in (PAGES_TABLE, REJECTS, SOURCES, TAGS_TABLE):
        connection.execute(f"create table {table.name} as from warehouse.{table.name} {where}")
    for table in SNAPSHOT_TABLES:
        if table == PAGES_TABLE:
            continue
        of_table = f"from warehouse.{table.name} where snapshot in ({chosen})"
        bounds = connection.execute(f"select min(rowid), max(rowid) {of_table}").fetchone() or (None, None)
        first, last = (-1 if bound is None else bound for bound in bounds)
        connection.execute(f"create view {table.name} as {of_table} and rowid between {first} and {last}")


def merge_checks(results: Sequence[list[Check]]) -> list[Check]:
    """The results of the checks over several parts of a warehouse as one."""
    return [
        replace(
            parts[0],
            offenders=sum(part.offenders for part in parts),
            rows=[row for part in parts for row in part.rows][:SHOWN],
        )
        for parts in zip(*results, strict=True)
    ]


def run_check(connection: duckdb.DuckDBPyConnection, check: SqlQuery) -> Check:
    cursor = connection.execute(render(connection, list_stored().get(check.name, check)))
    columns = [column[0] for column in cursor.description or []]
    rows = cursor.fetchmany(SHOWN)
    offenders = len(rows)
    while more := cursor.fetchmany(10_000):
        offenders += len(more)
    rule, mark, _ = check.rule.partition(WARNING)
    return Check(check.name, rule, bool(mark), offenders, columns, rows)


def is_overall(check: SqlQuery) -> bool:
    """Whether a check asks about all snapshots together, which none of them alone can answer."""
    return check.rule.endswith(f"{WARNING} of all snapshots)")


def check_beside(
    connection: duckdb.DuckDBPyConnection,
    meanwhile: Callable[[duckdb.DuckDBPyConnection], None],
    snapshots: Mapping[str, SnapshotRows],
    whole: bool,
) -> list[Check]:
    """Run the checks of a build, in a thread and by a second connection, while ``meanwhile`` runs on the first.

    That keeps one processor busy only. Where it fails, or a signal comes, what the checks ask is interrupted.
    What is small is checked after it, by its own views.
    """
    if whole and sum(counts.rows for counts in snapshots.values()) <= FEW_ROWS:
        meanwhile(connection)
        return run_checks(connection)
    with watch(connection.cursor()) as second, ThreadPoolExecutor(1) as beside:
        running = beside.submit(run_build_checks, second, snapshots, whole)
        try:
            meanwhile(connection)
            return running.result()
        except BaseException:
            try:
                run_handlers()
            finally:
                while not running.done():
                    # That ends the query that runs, if one does, and not the next.
                    second.interrupt()
                    wait([running], 0.05)
            raise


def run_build_checks(
    connection: duckdb.DuckDBPyConnection, snapshots: Mapping[str, SnapshotRows], whole: bool
) -> list[Check]:
    """Check some snapshots, or the ``whole`` warehouse where it is small enough to be checked at once.

    Part by part memory stays bounded; what looks beyond one snapshot asks for little, and comes last.
    """
    parts = list(cut_parts(snapshots)) or [[]]
    if whole and len(parts) == 1:
        return check_attached(connection)
    overall = [check for check in list_checks() if is_overall(check)]
    each = [check for check in list_checks() if check not in overall]
    found = merge_checks([check_attached(connection, part, each) for part in parts])
    return sorted([*found, *check_attached(connection, None, overall)], key=lambda check: check.name)


def check_tables(build: BuildPaths, tags: Tags, snapshots: Mapping[str, SnapshotRows]) -> list[Check]:
    """Check snapshots of a build that has no DuckDB file, part by part, in one that goes again.

    Checks that ask about all snapshots together ask about what such a build leaves out.
    """
    checks = [check for check in list_checks() if not is_overall(check)]
    found = []
    for part in cut_parts(snapshots):
        place = build.scratch / "checked.duckdb"
        with attach_database(place) as connection:
            create_tables(connection)
            load_snapshots(connection, build, part)
            load_unparted(connection, build)
            load_tags(connection, tags)
            found.append(check_attached(connection, part, checks))
        place.unlink()
    return merge_checks(found)


FILES_AS_BUILT = "files_are_as_built"
FILES_RULE = "every published file has the bytes that its build wrote, and there is no other"


def check_files(layout: Layout) -> Check:
    """Compare the published files with the digests of their build's state; a row for each file that differs.

    A copy that followed the links of a warehouse has no state beside its files: that is a warning.

    Raises:
        OSError: a file cannot be read.
    """
    build = layout.current or BuildPaths(layout.database.resolve().parent)
    state = read_state(build)
    if state is None:
        return Check(
            FILES_AS_BUILT,
            FILES_RULE,
            layout.current is None,
            1,
            ["file", "found"],
            [(STATE, "missing or damaged: nothing to compare with")],
        )
    found = digest_files(build)
    offenders: list[tuple[object, ...]] = []
    for name in sorted(found.keys() | state.files.keys()):
        if name not in found:
            offenders.append((name, "missing"))
        elif name not in state.files:
            offenders.append((name, "not of the build"))
        elif found[name] != state.files[name]:
            offenders.append((name, "changed"))
    return Check(FILES_AS_BUILT, FILES_RULE, False, len(offenders), ["file", "found"], offenders[:SHOWN])
