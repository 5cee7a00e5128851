"""The part of a build that makes something: read what changed, write it, publish it."""

from __future__ import annotations

import contextlib
import gc
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import duckdb

from pipeline.errors import SourceError, WarehouseError
from pipeline.interrupts import run_handlers, watch
from pipeline.layout import BuildPaths, Layout
from pipeline.store.batches import Reader
from pipeline.store.checks import Check, check_attached, merge_checks
from pipeline.store.database import (
    attach_database,
    create_tables,
    create_views,
    delete_snapshots,
    load_rejects,
    load_snapshots,
)
from pipeline.store.parquet import write_file_rejects
from pipeline.store.plan import Plan, find_affected, find_changed
from pipeline.store.snapshots import choose_pages, order_seen, reuse, write_snapshots
from pipeline.store.state import (
    Seen,
    SnapshotRows,
    State,
    digest_files,
    fingerprint,
    pack_seen,
    refresh_state,
    save_state,
)

Result = TypeVar("Result")

PART_ROWS = 1_500_000
"""So many rows are loaded and checked at once: DuckDB groups them within its memory limit."""


def assemble(
    layout: Layout, build: BuildPaths, plan: Plan, last: State | None, reader: Reader, began_ns: int
) -> tuple[State, int, list[Check]]:
    """Carry out a plan: bring together what ``reader`` reads, write it, publish it.

    Returns the new state, the number of snapshots that were written anew, and the checks' results.
    """
    try:
        kept, affected, changed = read_changes(reader, plan)
        if last is not None and not changed:
            refresh_state(layout, last, [*kept, *reader.seen], began_ns)
            return last, 0, []
        winners = choose_pages(reader.roots, [one for one in reader.seen if one.snapshot in affected])
        reused = reuse(layout, build, last, affected) if last is not None else {}
        if not winners and not reused and not any(one.reject for one in [*kept, *reader.seen]):
            places = ", ".join(root.place for root in reader.roots)
            chosen = reader.choice.describe()
            taking = f", taking {chosen}" if chosen else ""
            raise SourceError(f"no cache page and no build-cache index in {places}{taking}")
        written = write_snapshots(build, reader, winners)
        write_file_rejects(build, order_seen([*kept, *reader.seen]))
        rebuilt = len(winners)
        # DuckDB needs the memory next.
        reader.close()
        seen, looked = pack_seen([*kept, *reader.seen], began_ns)
        for held in (kept, winners, reader.seen):
            held.clear()
        plan.forget()
        gc.collect()
        reader.progress.stage("building warehouse.duckdb", 1, "file")
        with open_tables(layout, build, affected if reused else None) as connection:
            for part in cut_parts(written, PART_ROWS):
                load_snapshots(connection, build, part)
            load_rejects(connection, build)
            snapshots = dict(sorted((reused | written).items()))
            # What was taken over was checked when it was written; if something failed, all is again.
            whole = last is None or bool(last.failed)
            # The tables are checked while their views are made, which keeps one processor busy only.
            checked = snapshots if whole else written
            checks = run_beside(connection, create_views, run_build_checks, checked, whole)
        failed = [check.name for check in checks if check.failed]
        state = State(fingerprint(reader.choice), seen, looked, snapshots, digest_files(build), failed)
        save_state(build, state)
        layout.publish(build)
        return state, rebuilt, checks
    except duckdb.Error as error:
        raise WarehouseError(f"{layout.root}: {str(error).splitlines()[0]}") from error


def read_changes(reader: Reader, plan: Plan) -> tuple[list[Seen], set[str], bool]:
    """Gather what the fresh files are, and read again the kept pages of every snapshot that they affect.

    Returns the files still kept unread, the affected snapshots, and whether anything changed.
    """
    fresh = reader.collect()
    changed = bool(plan.gone) or find_changed(fresh, plan.before)
    affected = find_affected(fresh, plan.gone, plan.before)
    kept = plan.kept
    while again := [one.entry for one in kept if one.snapshot in affected]:
        kept = [one for one in kept if one.snapshot not in affected]
        # A page may have changed since the plan looked at it, even to another snapshot.
        affected |= find_affected(reader.read(again), [], plan.before)
    return kept, affected, changed


@contextlib.contextmanager
def open_tables(
    layout: Layout, build: BuildPaths, affected: Iterable[str] | None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The tables of the new database: empty, or the published ones less the ``affected`` snapshots."""
    if affected is not None and layout.current is not None:
        shutil.copyfile(layout.current.database, build.database)
    with attach_database(build.database) as connection:
        if affected is None:
            create_tables(connection)
        else:
            delete_snapshots(connection, affected)
        yield connection


def run_beside(
    connection: duckdb.DuckDBPyConnection,
    meanwhile: Callable[[duckdb.DuckDBPyConnection], None],
    function: Callable[..., Result],
    *arguments: object,
) -> Result:
    """What ``function`` gives, in a thread and by a second connection, while ``meanwhile`` runs on the first.

    Where that fails, or a signal comes, what the function asks is interrupted.
    """
    with watch(connection.cursor()) as second, ThreadPoolExecutor(1) as beside:
        running = beside.submit(function, second, *arguments)
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

    Part by part memory stays bounded; no check looks beyond one snapshot.
    """
    if whole and sum(counts.rows for counts in snapshots.values()) <= PART_ROWS:
        return check_attached(connection)
    parts = list(cut_parts(snapshots, PART_ROWS)) or [[]]
    return merge_checks([check_attached(connection, part) for part in parts])


def cut_parts(snapshots: Mapping[str, SnapshotRows], rows: int) -> Iterator[list[str]]:
    """Snapshots in parts of about so many ``rows`` of ``spec_stacks``."""
    part: list[str] = []
    held = 0
    for snapshot, counts in snapshots.items():
        part.append(snapshot)
        held += counts.rows
        if held >= rows:
            yield part
            part, held = [], 0
    if part:
        yield part
