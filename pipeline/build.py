"""A build from sources to a published warehouse: the stages in order, and no work done twice.

What a build makes depends on its sources alone. The state of the build before only tells which
snapshots need no work: a build that reuses them gives the same Parquet, byte for byte, as one that
starts from nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.ask.words import number_of
from pipeline.errors import WarehouseError
from pipeline.layout import Layout, find_cache
from pipeline.locks import hold_lock
from pipeline.progress import Progress
from pipeline.sources.buildcache import ALL, Choice, find_indexes
from pipeline.sources.files import Entry, Root, in_order, scan
from pipeline.sources.named import find_roots
from pipeline.store.batches import Reader
from pipeline.store.plan import Plan, make_plan
from pipeline.store.state import Seen, State, load_state, refresh_state
from pipeline.store.workers import Workers, count_cpus, open_workers

if TYPE_CHECKING:
    from pipeline.store.checks import Check

MANY_FILES = 1000
"""From this many on, the time that other processes take to start is won back."""


@dataclass(frozen=True)
class Summary:
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
    sources: Sequence[str | Path | Root],
    warehouse: Path,
    jobs: int | None = None,
    progress: Progress | None = None,
    choice: Choice = ALL,
    cache: Path | None = None,
    offline: bool = False,
) -> Summary:
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
        roots = find_roots(sources)
        fetched = fetch(roots, choice, cache or find_cache(), offline, progress)
        warehouse.mkdir(parents=True, exist_ok=True)
        layout.refuse_foreign()
        with hold_lock(layout.lock, partial(progress.wait, warehouse, "build")):
            summary = update(layout, roots, fetched, jobs or count_cpus(), progress, choice)
    except OSError as error:
        # Arrow says what failed, not where.
        raise WarehouseError(f"{error.filename or warehouse}: {error.strerror or error}") from error
    return Summary(**{**summary.__dict__, "seconds": time.monotonic() - began})


def fetch(roots: Sequence[Root], choice: Choice, cache: Path, offline: bool, progress: Progress) -> list[Entry]:
    """The indexes of the remote sources among ``roots``."""
    if not any(root.is_remote for root in roots):
        return []
    from pipeline.sources.download import RemoteFiles
    from pipeline.sources.remote import fetch_indexes

    with RemoteFiles(cache, offline) as files:
        return list(fetch_indexes(roots, choice, files, progress))


def update(
    layout: Layout, roots: Sequence[Root], fetched: Sequence[Entry], jobs: int, progress: Progress, choice: Choice
) -> Summary:
    """The part of a build that runs under the lock; ``fetched`` are the indexes of remote sources."""
    began_ns = time.time_ns()
    current = layout.current
    last, seen = load_state(current, choice)
    with open_workers(jobs) as workers:
        plan = look(layout, roots, fetched, seen, workers, choice)
        del seen
        if last is not None and current is not None and not plan.fresh and not plan.gone:
            refresh_state(layout, last, plan.kept, began_ns)
            return summarise(last)
        try:
            build = layout.begin()
            scratch = build.folder / "scratch"
            scratch.mkdir()
            reader = Reader(workers, roots, scratch, progress, choice)
            reader.send(plan.fresh)
            # Arrow and DuckDB take longer to load than an unchanged warehouse takes to look at; when many
            # files are read, that is done in the meantime.
            from pipeline.assemble import assemble

            state, rebuilt, checks = assemble(layout, build, plan, last, reader, began_ns)
        finally:
            workers.close()
            layout.sweep()
    gone = len(last.snapshots.keys() - state.snapshots.keys()) if last is not None else 0
    return summarise(state, rebuilt, gone, checks)


def look(
    layout: Layout,
    roots: Sequence[Root],
    fetched: Sequence[Entry],
    last: Sequence[Seen],
    workers: Workers,
    choice: Choice,
) -> Plan:
    """List the files of the sources and compare them with the ``last`` build's."""
    entries = list(fetched)
    for entry in scan(roots, skip=[layout.root]):
        entries.append(entry)
        if not last and len(entries) == MANY_FILES:
            workers.start()
    return make_plan(roots, in_order(find_indexes(roots, entries, choice)), last)


def summarise(state: State, rebuilt: int = 0, gone: int = 0, checks: Sequence[Check] = ()) -> Summary:
    snapshots = state.snapshots.values()
    looked = state.looked
    return Summary(
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
