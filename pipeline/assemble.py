"""The part of a build that makes something: read what changed, write it, publish it."""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import duckdb

from pipeline.checks import Check, check_file, merge_checks
from pipeline.errors import DuplicatePageError, SourceError, WarehouseError
from pipeline.layout import BuildPaths, Layout
from pipeline.plan import Plan, find_affected, find_changed
from pipeline.reader import Reader
from pipeline.source import Root
from pipeline.state import (
    Seen,
    SnapshotRows,
    State,
    digest_files,
    fingerprint,
    pack_seen,
    refresh_state,
    save_state,
)
from pipeline.warehouse import (
    attach_database,
    create_tables,
    create_views,
    delete_snapshots,
    load_rejects,
    load_snapshots,
)
from pipeline.write import write_file_rejects, write_snapshot

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
            create_views(connection)
        snapshots = dict(sorted((reused | written).items()))
        # What was taken over was checked when it was written; if something failed, all is again.
        whole = last is None or bool(last.failed)
        checks = run_build_checks(build, snapshots if whole else written, whole)
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


def order_seen(seen: Iterable[Seen]) -> list[Seen]:
    return sorted(seen, key=lambda one: (one.entry.root, one.entry.path))


def choose_pages(roots: Sequence[Root], seen: Iterable[Seen]) -> dict[str, list[Seen]]:
    """The indexes and pages of each snapshot, the pages in the order of their packages, one to a package.

    Raises:
        DuplicatePageError: two files that differ are the page of one package.
    """
    chosen: dict[tuple[str, str], Seen] = {}
    for one in order_seen(seen):
        first = chosen.setdefault(one.key, one)
        if first.sha256 != one.sha256:
            files = (roots[file.entry.root].locate(file.entry) for file in (first, one))
            raise DuplicatePageError(*one.key, *files)
    pages: dict[str, list[Seen]] = defaultdict(list)
    for (snapshot, _), one in sorted(chosen.items()):
        pages[snapshot].append(one)
    return dict(pages)


def write_snapshots(build: BuildPaths, reader: Reader, winners: dict[str, list[Seen]]) -> dict[str, SnapshotRows]:
    """Write the Parquet files of each snapshot in ``winners``."""
    reader.progress.stage("writing", len(winners), "snapshot")
    rows = [reader.take_rows(pages) for pages in winners.values()]
    constant = len(winners)
    written = {}
    results = reader.workers.run(write_snapshot, [build] * constant, [reader.scratch] * constant, list(winners), rows)
    for snapshot, counts in zip(winners, results, strict=True):
        written[snapshot] = counts
        reader.progress.advance(1)
    return written


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


def run_build_checks(build: BuildPaths, snapshots: Mapping[str, SnapshotRows], whole: bool) -> list[Check]:
    """Check some snapshots, or the ``whole`` file where it is small enough to be checked at once.

    Part by part memory stays bounded; no check looks beyond one snapshot.
    """
    if whole and sum(counts.rows for counts in snapshots.values()) <= PART_ROWS:
        return check_file(build.database)
    parts = list(cut_parts(snapshots, PART_ROWS)) or [[]]
    return merge_checks([check_file(build.database, part) for part in parts])


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


def reuse(layout: Layout, build: BuildPaths, last: State, affected: set[str]) -> dict[str, SnapshotRows]:
    """Take the files of the snapshots that nothing affected from the published build."""
    current = layout.current
    assert current is not None
    unaffected = {snapshot: counts for snapshot, counts in last.snapshots.items() if snapshot not in affected}
    for snapshot in unaffected:
        for find in (BuildPaths.spec_stacks, BuildPaths.pages, BuildPaths.dependencies, BuildPaths.rejects):
            old, new = find(current, snapshot), find(build, snapshot)
            if old.exists():
                new.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(old, new)
                except OSError:  # a file system without hard links
                    shutil.copyfile(old, new)
    return unaffected
