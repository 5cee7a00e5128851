"""A build, from sources to a published warehouse: read this page from top to bottom as the way of the data.

What a build makes depends on its sources alone. The state of the build before only says which
snapshots need no work: a build that reuses them gives the same Parquet, byte for byte, as one that
starts from nothing.
"""

from __future__ import annotations

import datetime as dt
import gc
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import NoWarehouseError, SourceError, WarehouseError
from pipeline.io.disk import hold_lock
from pipeline.io.progress import Progress, name_some, number_of
from pipeline.io.temporary import database_path
from pipeline.io.workers import Workers, open_workers
from pipeline.io.workplace import Workplace
from pipeline.layout import BuildPaths, Layout, find_cache
from pipeline.sources.buildcache import ALL, Choice, find_indexes
from pipeline.sources.files import Entry, Source, find_sources, in_order, scan
from pipeline.sources.firstpages import join_spec_files
from pipeline.sources.kinds import explain_empty
from pipeline.sources.tags import NO_TAGS, Tags, read_tags
from pipeline.store.batches import Reader, write_snapshots, write_unparted
from pipeline.store.history import NO_WISHES, Found, Settled, Wishes, settle
from pipeline.store.published import NOTHING_HELD, open_archive, read_held
from pipeline.store.state import (
    EMPTY,
    Plan,
    Seen,
    SnapshotRows,
    SourceRow,
    State,
    choose_pages,
    digest_files,
    find_affected,
    find_changed,
    fingerprint,
    load_state,
    make_plan,
    pack_seen,
    read_looked_on,
    refresh_state,
    reuse,
    save_state,
)

if TYPE_CHECKING:
    import duckdb

    from pipeline.store.checks import Check

MANY_FILES = 1000
"""From this many on, the time that other processes take to start is won back."""


@dataclass(frozen=True)
class BuildSummary:
    """What a build found and made; ``rebuilt``, ``gone`` to ``void`` and ``checks`` are of its own work alone.

    ``gone`` are the snapshots, and ``unnamed`` the sources, that only the last warehouse had; ``gone_within`` are lines
    on what it had of snapshots that stand, ``void`` on wishes that change nothing. ``sources`` are the rows of the
    table ``sources``; those in ``optional`` are the sources that may fail. ``keeps`` says whether snapshots
    stay that the sources no longer hold.
    """

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
    sources: list[SourceRow]
    keeps: bool
    gone: list[str] = field(default_factory=list)
    gone_within: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    void: list[str] = field(default_factory=list)
    optional: frozenset[str] = frozenset()
    seconds: float = 0.0
    checks: list[Check] = field(default_factory=list)

    def describe_held(self) -> str:
        """How much the warehouse holds."""
        return ", ".join(number_of(getattr(self, f"{noun}s"), noun) for noun in ("spec", "row", "reject"))

    def describe_changes(self) -> str:
        """How many snapshots this build wrote anew, and which are gone from the warehouse."""
        parts = [f"{number_of(self.rebuilt, 'snapshot')} built anew"] if self.rebuilt else []
        if self.gone:
            parts.append(f"{number_of(len(self.gone), 'snapshot')} gone: {name_some(self.gone, SHOWN_SNAPSHOTS)}")
        return ", ".join(parts) or "no snapshot changed"

    def list_troubles(self) -> list[str]:
        """A line for each source, or part of one, that is not as it should be, and for what leaves or is kept."""
        lines = [describe_source(row) for row in self.sources if row.amiss or row.state == EMPTY]
        lines += [f"no longer named, and gone from the warehouse: {name}" for name in self.unnamed]
        lines += [*self.gone_within, *self.void]
        kept = {row.snapshot for row in self.sources if row.last_seen is not None and not row.amiss}
        if self.keeps and kept:
            lines.append(f"{number_of(len(kept), 'snapshot')} kept that no source gives today (--no-keep lets them go)")
        return lines

    def is_whole(self, strict: bool) -> bool:
        """Whether every source that is not optional was read whole; where ``strict``, none is empty either."""
        wrong = [row for row in self.sources if row.amiss or (strict and row.state == EMPTY)]
        return all(row.source in self.optional for row in wrong)


SHOWN_SNAPSHOTS = 20


def describe_source(row: SourceRow) -> str:
    """A row of ``sources`` that is not as it should be, as a line."""
    where = "/".join(filter(None, row.place))
    since = f" (its state of {row.last_seen} stays)" if row.last_seen else ""
    return f"{row.state}: {': '.join(filter(None, (row.source, where, row.reason)))}{since}"


def build(
    sources: Sequence[str | Path | Source],
    warehouse: Path,
    jobs: int | None = None,
    progress: Progress | None = None,
    choice: Choice = ALL,
    cache: Path | None = None,
    offline: bool = False,
    allow_hosts: Sequence[str] = (),
    wishes: Wishes = NO_WISHES,
    today: dt.date | None = None,
    sizes: bool = False,
    cluster: str | None = None,
    database: bool = True,
) -> BuildSummary:
    """Make ``warehouse`` the warehouse of ``sources``, at once or not at all.

    ``jobs`` is the number of processes, by default that of the processors, ``cluster`` the address of a Dask
    scheduler whose workers are taken instead: they must see the sources and the warehouse by the same paths.
    ``choice`` says which snapshots and stacks of build caches count, ``wishes`` what stays of the last warehouse. What
    is fetched from URLs is kept in the folder ``cache``, by default the user's own; with ``offline`` nothing is fetched
    and what is there counts. ``allow_hosts`` are hosts and buckets that listings may lead to besides their own.
    ``today`` is the day of the build, by default this one (UTC). With ``sizes`` the sizes of the binaries behind URLs
    are fetched. Without ``database`` the Parquet tables alone are made, and checked.

    Raises:
        SourceError: no source can be read, none holds a page or an index, two files that differ are the page of one
            package in one snapshot, or the snapshot and stack of an index are not known.
        WarehouseError: the machine refuses: no space, no permission; the cluster cannot be reached.
    """
    began = time.monotonic()
    progress = progress or Progress()
    # Workers of a cluster stand in folders of their own.
    layout = Layout(warehouse if cluster is None else warehouse.absolute())
    try:
        found = find_sources(sources, allow_hosts)
        if cluster is not None:
            found = [source.from_anywhere() for source in found]
        fetched, faults = fetch(found, choice, cache, offline, progress, sizes)
        given = Input(found, fetched, faults, choice, wishes, today or dt.datetime.now(dt.UTC).date(), database)
        warehouse.mkdir(parents=True, exist_ok=True)
        layout.refuse_foreign()
        with hold_lock(layout.lock, partial(progress.wait, warehouse, "build")):
            try:
                summary = update(layout, given, Workplace(jobs, cluster), progress)
            finally:
                left = layout.sweep()
            for folder in left:
                progress.note(f"{folder}: cannot be removed, and stays")
    except OSError as error:
        # Arrow says what failed, not where.
        raise WarehouseError(f"{error.filename or warehouse}: {error.strerror or error}") from error
    except MemoryError as error:
        raise WarehouseError(f"{warehouse}: out of memory; with several processors, try --jobs 1") from error
    optional = frozenset(source.name for source in found if source.optional)
    return replace(summary, optional=optional, seconds=time.monotonic() - began)


def roll_back(warehouse: Path, progress: Progress) -> str:
    """Make the build before the current one current again; returns its number.

    Raises:
        WarehouseError: there is none.
    """
    layout = Layout(warehouse)
    if layout.current is None:
        raise NoWarehouseError(f"{warehouse}: no warehouse is here")
    with hold_lock(layout.lock, partial(progress.wait, warehouse, "build")):
        return layout.roll_back()


@dataclass(frozen=True)
class Input:
    """What a build has to go by: its sources, the indexes ``fetched`` of the remote ones, why others cannot be read.

    ``database`` says whether to make the DuckDB file, ``tags`` are those beside the pages.
    """

    sources: Sequence[Source]
    fetched: Sequence[Entry]
    faults: Mapping[int, str]
    choice: Choice
    wishes: Wishes
    day: dt.date
    database: bool = True
    tags: Tags = NO_TAGS

    @property
    def names(self) -> list[str]:
        return [source.name for source in self.sources]


def fetch(
    sources: Sequence[Source], choice: Choice, cache: Path | None, offline: bool, progress: Progress, sizes: bool
) -> tuple[list[Entry], dict[int, str]]:
    """The indexes of the remote sources among ``sources``, and why a source cannot be read, by its number.

    Without remote sources no cache is needed.
    """
    faults = {number: source.fault for number, source in enumerate(sources) if source.fault}
    if not any(source.is_remote for source in sources):
        return [], faults
    from pipeline.sources.download import RemoteFiles
    from pipeline.sources.remote import fetch_indexes

    with RemoteFiles(cache or find_cache(), offline, note=progress.note) as files:
        entries, failed = fetch_indexes(sources, choice, files, progress, sizes)
    return entries, faults | failed


def update(layout: Layout, given: Input, workplace: Workplace, progress: Progress) -> BuildSummary:
    """The part of a build that runs under the lock."""
    began_ns = time.time_ns()
    current = layout.current
    last, seen = load_state(current, given.choice, given.database)
    if last is not None and last.failed and not given.database:
        # What is taken over has no rows to be checked again by: all is read anew.
        last, seen = None, []
    with open_workers(workplace, progress.note) as workers, database_path(layout.builds) as builds:
        plan = look(layout, given, seen, workers)
        del seen
        given = replace(given, tags=read_tags(given.sources, NO_TAGS if last is None else last.tags))
        for warning in given.tags.warnings:
            progress.note(f"warning: {warning}")
        if last is not None and is_as_before(last, given, plan):
            note_warnings(given.sources, plan.kept, progress)
            refresh_state(layout, last, plan.kept, began_ns, given.day)
            return summarise(last)
        try:
            build = layout.begin(builds)
            build.scratch.mkdir()
            reader = Reader(workers, given.sources, build.scratch, progress, given.choice)
            reader.send(plan.fresh)
            # Arrow and DuckDB take longer to load than an unchanged warehouse takes to look at: they are loaded
            # while the files are read.
            return assemble(layout, build, given, plan, last, reader, began_ns)
        finally:
            workers.close()


def is_as_before(last: State, given: Input, plan: Plan) -> bool:
    """Whether nothing is new, and nothing went wrong then or now that would have to be looked at again."""
    new = plan.fresh or plan.gone or given.names != last.names or given.wishes.change(last.keep)
    new = new or given.tags != last.tags
    amiss = given.faults or any(row.amiss for row in last.rows) or any(source.is_archive for source in given.sources)
    return not new and not amiss


def look(layout: Layout, given: Input, last: Sequence[Seen], workers: Workers) -> Plan:
    """List the files of the sources and compare them with the ``last`` build's."""
    entries = list(given.fetched)
    for entry in scan(given.sources, skip=[layout.root]):
        entries.append(entry)
        if not last and len(entries) == MANY_FILES:
            workers.start()
    joined = join_spec_files(given.sources, entries, given.choice)
    return make_plan(given.sources, in_order(find_indexes(given.sources, joined, given.choice)), last)


def assemble(
    layout: Layout, build: BuildPaths, given: Input, plan: Plan, last: State | None, reader: Reader, began_ns: int
) -> BuildSummary:
    """Carry out a plan: bring together what ``reader`` reads, write it, publish it."""
    import duckdb

    from pipeline.store.checks import check_tables

    try:
        kept, affected, settled = read_changes(layout, given, reader, plan, last)
        note_warnings(reader.sources, [*kept, *reader.seen], reader.progress)
        same = last is not None and given.tags == last.tags and not is_other(settled, last)
        if last is not None and same and not affected and not is_changed(reader, plan):
            refresh_state(layout, last, [*kept, *reader.seen], began_ns, given.day)
            return replace(summarise(last), void=settled.void)
        restored = reader.restore({name: stays for name, stays in settled.stays.items() if name in affected})
        counted = [one for one in reader.seen if one.snapshot in affected and one.entry_key not in settled.ignored]
        winners = choose_pages(reader.sources, [*restored, *counted])
        reused = reuse(layout, build, last, affected) if last is not None else {}
        written = write_snapshots(build, reader, winners)
        write_unparted(build, reader, [*kept, *reader.seen], settled.rows, settled.keep)
        rebuilt = len(winners)
        # DuckDB needs the memory next.
        reader.close()
        seen, looked = pack_seen([*kept, *reader.seen], began_ns)
        for held in (kept, winners, counted, restored, reader.seen):
            held.clear()
        plan.forget()
        if looked.files > MANY_FILES:
            gc.collect()
        made = Made(written, reused, affected)
        if given.database:
            reader.progress.stage("building warehouse.duckdb", 1, "file")
            checks, compared = make_database(layout, build, given, made, last)
        else:
            checks, compared = check_tables(build, given.tags, written), {}
            shutil.rmtree(build.scratch)
        state = State(
            fingerprint=fingerprint(given.choice, given.database),
            seen=seen,
            looked=looked,
            snapshots=made.snapshots,
            files=digest_files(build),
            failed=[check.name for check in checks if check.failed],
            names=given.names,
            rows=settled.rows,
            parts=settled.parts,
            ignored=len(settled.ignored),
            keep=settled.keep,
            looked_on=given.day,
            tags=given.tags,
            compared=compared,
        )
        save_state(build, state)
        layout.publish(build)
        return replace(
            summarise(state),
            rebuilt=rebuilt,
            gone=settled.gone,
            gone_within=settled.gone_within,
            unnamed=settled.unnamed,
            void=settled.void,
            checks=checks,
        )
    except duckdb.Error as error:
        raise WarehouseError(f"{layout.root}: {str(error).splitlines()[0]}") from error


@dataclass(frozen=True)
class Made:
    """The snapshots of a build: ``written`` by it, or ``reused`` from the last; ``affected`` are not as they were."""

    written: Mapping[str, SnapshotRows]
    reused: Mapping[str, SnapshotRows]
    affected: set[str]

    @property
    def snapshots(self) -> dict[str, SnapshotRows]:
        return dict(sorted({**self.reused, **self.written}.items()))


def make_database(
    layout: Layout, build: BuildPaths, given: Input, made: Made, last: State | None
) -> tuple[list[Check], dict[str, str]]:
    """Load the DuckDB file of a build and check it; returns what the checks found, and the steps that are compared."""
    from pipeline.store.changes import renew_changes
    from pipeline.store.checks import check_beside
    from pipeline.store.database import create_views, cut_parts, load_snapshots, load_tags, load_unparted, open_tables

    compared: dict[str, str] = {}

    def derive(connection: duckdb.DuckDBPyConnection) -> None:
        create_views(connection)
        known = last.compared if last is not None and made.reused else {}
        compared.update(renew_changes(connection, made.affected, known))

    with open_tables(layout, build, made.affected if made.reused else None) as connection:
        for part in cut_parts(made.written):
            load_snapshots(connection, build, part)
        load_unparted(connection, build)
        load_tags(connection, given.tags)
        shutil.rmtree(build.scratch)
        # What was taken over was checked when it was written; if something failed, all is again.
        whole = last is None or bool(last.failed)
        # The tables are checked while their views are made, which keeps one processor busy only.
        return check_beside(connection, derive, made.snapshots if whole else made.written, whole), compared


def note_warnings(sources: Sequence[Source], seen: Sequence[Seen], progress: Progress) -> None:
    """A line for each file that was loaded and may be wrong."""
    for one in seen:
        if one.warning:
            progress.note(f"warning: {sources[one.entry.source].show(one.entry)}: {one.warning}")


def read_changes(
    layout: Layout, given: Input, reader: Reader, plan: Plan, last: State | None
) -> tuple[list[Seen], set[str], Settled]:
    """Gather what the fresh files are, and read again the kept pages of every snapshot that is affected.

    Returns the files still kept unread, the affected snapshots, and what stays beside what was read.

    Raises:
        SourceError: no source could be read, or none holds anything to load.
    """
    fresh = reader.collect()
    affected = find_affected(fresh, plan.gone, plan.before)
    held = NOTHING_HELD if (published := layout.held) is None else read_held(published, read_looked_on(published))
    archives = {number: open_archive(source) for number, source in enumerate(given.sources) if source.is_archive}
    kept = plan.kept

    def explain(source: Source) -> str:
        return explain_empty(source, scan([source], skip=[layout.root]))

    while True:
        found = Found(given.sources, [*kept, *reader.seen], given.choice, given.day, given.faults, archives, explain)
        settled = settle(found, held, given.wishes)
        refuse_nothing(found, settled)
        affected |= settled.find_affected(last.parts if last is not None else [])
        again = [one.entry for one in kept if one.snapshot in affected]
        if not again:
            return kept, affected, settled
        kept = [one for one in kept if one.snapshot not in affected]
        # A page may have changed since the plan looked at it, even to another snapshot.
        affected |= find_affected(reader.read(again), [], plan.before)


def refuse_nothing(found: Found, settled: Settled) -> None:
    """Make sure that there is something to build from.

    Raises:
        SourceError: there is not; the last warehouse stays.
    """
    if settled.unread:
        raise SourceError("; ".join(settled.unread))
    if any(one.snapshot is not None or one.reject is not None for one in found.seen) or found.archives:
        return
    chosen = found.choice.describe()
    taking = f", taking {chosen}" if chosen else ""
    each = "; ".join(f"{source.place}: {found.explain(source)}" for source in found.sources)
    raise SourceError(f"no cache page and no build-cache index was found{taking}: {each}")


def is_changed(reader: Reader, plan: Plan) -> bool:
    """Whether a file is gone, or gives other rows than it gave the last build."""
    return bool(plan.gone) or find_changed(reader.seen, plan.before)


def is_other(settled: Settled, last: State) -> bool:
    """Whether the table ``sources`` would differ from that of the last build, or what is kept."""
    return (settled.rows, settled.parts, settled.keep) != (last.rows, last.parts, last.keep)


def summarise(state: State) -> BuildSummary:
    snapshots = state.snapshots.values()
    looked = state.looked
    counted = sum(one.pages + one.indexes for one in snapshots) - len(state.parts)
    return BuildSummary(
        snapshots=len(snapshots),
        pages=sum(one.pages for one in snapshots),
        indexes=sum(one.indexes for one in snapshots),
        specs=sum(one.specs for one in snapshots),
        rows=sum(one.rows for one in snapshots),
        rejects=sum(one.rejects for one in snapshots) + looked.rejects,
        passed_over=looked.files - looked.pages - looked.indexes - looked.rejects,
        repeated=looked.pages + looked.indexes - state.ignored - counted,
        rebuilt=0,
        failed=state.failed,
        sources=state.rows,
        keeps=state.keep,
    )
