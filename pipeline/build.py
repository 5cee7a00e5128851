"""A build, from sources to a published warehouse: read this page from top to bottom as the way of the data.

What a build makes depends on its sources alone. The state of the build before only tells which
snapshots need no work: a build that reuses them gives the same Parquet, byte for byte, as one that
starts from nothing.
"""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import SourceError, WarehouseError
from pipeline.layout import BuildPaths, Layout, find_cache, hold_lock
from pipeline.progress import Progress, number_of
from pipeline.sources.buildcache import ALL, Choice, find_indexes
from pipeline.sources.files import Entry, Source, find_sources, in_order, scan
from pipeline.store.batches import Reader, write_rejects, write_snapshots
from pipeline.store.state import (
    Plan,
    Seen,
    State,
    choose_pages,
    digest_files,
    find_affected,
    find_changed,
    fingerprint,
    load_state,
    make_plan,
    pack_seen,
    refresh_state,
    reuse,
    save_state,
)
from pipeline.store.workers import Workers, count_cpus, open_workers
from pipeline.temporary import database_path

if TYPE_CHECKING:
    from pipeline.store.checks import Check

MANY_FILES = 1000
"""From this many on, the time that other processes take to start is won back."""


@dataclass(frozen=True)
class BuildSummary:
    """What a build found and made; ``rebuilt``, ``gone`` and ``checks`` are of this build's own work alone."""

    snapshots: int
    pages: int
    indexes: int
    specs: int
    rows: int
    rejects: int
    passed_over: int
    repeated: int
    rebuilt: int
    failed: list[str]
    gone: int = 0
    seconds: float = 0.0
    checks: list[Check] = field(default_factory=list)

    def describe_held(self) -> str:
        """How much the warehouse holds."""
        return ", ".join(number_of(getattr(self, f"{noun}s"), noun) for noun in ("spec", "row", "reject"))

    def describe_changes(self) -> str:
        """How many snapshots this build wrote anew, and how many the sources hold no more."""
        parts = [f"{number_of(self.rebuilt, 'snapshot')} built anew"] if self.rebuilt else []
        parts += [f"{number_of(self.gone, 'snapshot')} gone"] if self.gone else []
        return ", ".join(parts) or "no snapshot changed"


def build(
    sources: Sequence[str | Path | Source],
    warehouse: Path,
    jobs: int | None = None,
    progress: Progress | None = None,
    choice: Choice = ALL,
    cache: Path | None = None,
    offline: bool = False,
) -> BuildSummary:
    """Make ``warehouse`` the warehouse of ``sources``, at once or not at all.

    ``jobs`` is the number of processes, by default that of the processors; ``choice`` says which
    snapshots and stacks of build caches count. What is fetched from URLs is kept in the folder ``cache``,
    by default the user's own; with ``offline`` nothing is fetched and what is there counts.

    Raises:
        RemoteError: a remote source cannot be fetched.
        SourceError: a source does not exist, no source holds a page or an index, two files that differ
            are the page of one package in one snapshot, or nothing tells an index's snapshot and stack.
        WarehouseError: the machine refuses: no space, no permission.
    """
    began = time.monotonic()
    progress = progress or Progress()
    layout = Layout(warehouse)
    try:
        sources = find_sources(sources)
        fetched = fetch(sources, choice, cache or find_cache(), offline, progress)
        warehouse.mkdir(parents=True, exist_ok=True)
        layout.refuse_foreign()
        with hold_lock(layout.lock, partial(progress.wait, warehouse, "build")):
            summary = update(layout, sources, fetched, jobs or count_cpus(), progress, choice)
    except OSError as error:
        # Arrow says what failed, not where.
        raise WarehouseError(f"{error.filename or warehouse}: {error.strerror or error}") from error
    return BuildSummary(**{**summary.__dict__, "seconds": time.monotonic() - began})


def fetch(sources: Sequence[Source], choice: Choice, cache: Path, offline: bool, progress: Progress) -> list[Entry]:
    """The indexes of the remote sources among ``sources``."""
    if not any(source.is_remote for source in sources):
        return []
    from pipeline.sources.download import RemoteFiles
    from pipeline.sources.remote import fetch_indexes

    with RemoteFiles(cache, offline) as files:
        return list(fetch_indexes(sources, choice, files, progress))


def update(
    layout: Layout, sources: Sequence[Source], fetched: Sequence[Entry], jobs: int, progress: Progress, choice: Choice
) -> BuildSummary:
    """The part of a build that runs under the lock; ``fetched`` are the indexes of remote sources."""
    began_ns = time.time_ns()
    current = layout.current
    last, seen = load_state(current, choice)
    with open_workers(jobs) as workers, database_path(layout.builds) as builds:
        plan = look(layout, sources, fetched, seen, workers, choice)
        del seen
        if last is not None and current is not None and not plan.fresh and not plan.gone:
            refresh_state(layout, last, plan.kept, began_ns)
            return summarise(last)
        try:
            build = layout.begin(builds)
            build.scratch.mkdir()
            reader = Reader(workers, sources, build.scratch, progress, choice)
            reader.send(plan.fresh)
            # Arrow and DuckDB take longer to load than an unchanged warehouse takes to look at: they are loaded
            # while the files are read.
            state, rebuilt, checks = assemble(layout, build, plan, last, reader, began_ns)
        finally:
            workers.close()
            layout.sweep()
    gone = len(last.snapshots.keys() - state.snapshots.keys()) if last is not None else 0
    return summarise(state, rebuilt, gone, checks)


def look(
    layout: Layout,
    sources: Sequence[Source],
    fetched: Sequence[Entry],
    last: Sequence[Seen],
    workers: Workers,
    choice: Choice,
) -> Plan:
    """List the files of the sources and compare them with the ``last`` build's."""
    entries = list(fetched)
    for entry in scan(sources, skip=[layout.root]):
        entries.append(entry)
        if not last and len(entries) == MANY_FILES:
            workers.start()
    return make_plan(sources, in_order(find_indexes(sources, entries, choice)), last)


def assemble(
    layout: Layout, build: BuildPaths, plan: Plan, last: State | None, reader: Reader, began_ns: int
) -> tuple[State, int, list[Check]]:
    """Carry out a plan: bring together what ``reader`` reads, write it, publish it.

    Returns the new state, the number of snapshots that were written anew, and the checks' results.
    """
    import duckdb

    from pipeline.store.checks import check_beside
    from pipeline.store.database import create_views, cut_parts, load_rejects, load_snapshots, open_tables

    try:
        kept, affected, changed = read_changes(reader, plan)
        if last is not None and not changed:
            refresh_state(layout, last, [*kept, *reader.seen], began_ns)
            return last, 0, []
        winners = choose_pages(reader.sources, [one for one in reader.seen if one.snapshot in affected])
        reused = reuse(layout, build, last, affected) if last is not None else {}
        if not winners and not reused and not any(one.reject for one in [*kept, *reader.seen]):
            places = ", ".join(source.place for source in reader.sources)
            chosen = reader.choice.describe()
            taking = f", taking {chosen}" if chosen else ""
            raise SourceError(f"no cache page and no build-cache index in {places}{taking}")
        written = write_snapshots(build, reader, winners)
        write_rejects(build, reader, [*kept, *reader.seen])
        rebuilt = len(winners)
        # DuckDB needs the memory next.
        reader.close()
        seen, looked = pack_seen([*kept, *reader.seen], began_ns)
        for held in (kept, winners, reader.seen):
            held.clear()
        plan.forget()
        if looked.files > MANY_FILES:
            gc.collect()
        reader.progress.stage("building warehouse.duckdb", 1, "file")
        with open_tables(layout, build, affected if reused else None) as connection:
            for part in cut_parts(written):
                load_snapshots(connection, build, part)
            load_rejects(connection, build)
            shutil.rmtree(build.scratch)
            snapshots = dict(sorted((reused | written).items()))
            # What was taken over was checked when it was written; if something failed, all is again.
            whole = last is None or bool(last.failed)
            # The tables are checked while their views are made, which keeps one processor busy only.
            checked = snapshots if whole else written
            checks = check_beside(connection, create_views, checked, whole)
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


def summarise(state: State, rebuilt: int = 0, gone: int = 0, checks: Sequence[Check] = ()) -> BuildSummary:
    snapshots = state.snapshots.values()
    looked = state.looked
    return BuildSummary(
        snapshots=len(snapshots),
        pages=sum(one.pages for one in snapshots) - looked.indexes,
        indexes=looked.indexes,
        specs=sum(one.specs for one in snapshots),
        rows=sum(one.rows for one in snapshots),
        rejects=sum(one.rejects for one in snapshots) + looked.rejects,
        passed_over=looked.files - looked.pages - looked.indexes - looked.rejects,
        repeated=looked.pages + looked.indexes - sum(one.pages for one in snapshots),
        rebuilt=rebuilt,
        failed=state.failed,
        gone=gone,
        checks=list(checks),
    )
