"""The pages and indexes of each snapshot, brought together and written as Parquet.

As for reading, Arrow is loaded where the files are written.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.errors import DuplicatePageError
from pipeline.layout import BuildPaths, Layout
from pipeline.sources.files import Root
from pipeline.store.batches import Reader
from pipeline.store.state import Seen, SnapshotRows, State


def order_seen(seen: Iterable[Seen]) -> list[Seen]:
    return sorted(seen, key=lambda one: one.entry_key)


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
    results = reader.workers.run(write_rows, [build] * constant, [reader.scratch] * constant, list(winners), rows)
    for snapshot, counts in zip(winners, results, strict=True):
        written[snapshot] = counts
        reader.progress.advance(1)
    return written


def write_rows(build: BuildPaths, scratch: Path, snapshot: str, packed: Sequence[bytes]) -> SnapshotRows:
    """Write the Parquet files of one snapshot: see :func:`pipeline.store.parquet.write_snapshot`."""
    from pipeline.store.parquet import write_snapshot

    return write_snapshot(build, scratch, snapshot, packed)


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
