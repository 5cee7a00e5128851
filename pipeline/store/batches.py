"""Send files to be read, in batches, and gather what they are.

Arrow is loaded where the batches are read, in other processes: this one goes on to load what it
needs itself while they work.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import msgspec

from pipeline.io.progress import Progress
from pipeline.io.workers import Workers
from pipeline.layout import BuildPaths
from pipeline.sources.buildcache import ALL, Choice
from pipeline.sources.files import Entry, IndexRole, Source
from pipeline.store.history import Stay
from pipeline.store.state import FILES_OF_BATCH, Part, Seen, SnapshotRows, SourceRow

BATCH_BYTES = 4 * 2**20
BATCH_FILES = 500
FEW_BATCHES = 6
"""So many batches are read sooner than other processes have started."""
LARGE_FILE = 16 * 2**20
"""Bytes of an index whose memory is better another process's, that ends."""


class Reader:
    """Reads files and remembers in ``seen`` what they are, and where their rows were spilled.

    Pages of a snapshot that is not in ``choice`` count as no pages.
    """

    def __init__(
        self, workers: Workers, sources: Sequence[Source], scratch: Path, progress: Progress, choice: Choice = ALL
    ) -> None:
        self.workers = workers
        self.sources = sources
        self.choice = choice
        self.scratch = scratch
        self.progress = progress
        self.seen: list[Seen] = []
        self._places: dict[int, dict[str, int]] = defaultdict(dict)
        self._batches: list[list[Entry]] = []
        self._results: Iterator[list[Seen]] = iter(())
        self._first = self._sent = 0

    def read(self, entries: Sequence[Entry]) -> list[Seen]:
        """What ``entries`` are, in their order."""
        self.send(entries)
        return self.collect()

    def send(self, entries: Sequence[Entry]) -> None:
        """Begin to read ``entries``; :meth:`collect` gives what they are."""
        self._batches = list(make_batches(entries))
        constant = len(self._batches)
        self._first, self._sent = self._sent, self._sent + constant
        self.progress.stage("reading", len(entries), "file")
        if constant > FEW_BATCHES or any(entry.size > LARGE_FILE for entry in entries):
            self.workers.start()
        self._results = self.workers.run(
            read_batch,
            [self.sources] * constant,
            self._batches,
            [self.scratch] * constant,
            range(self._first, self._sent),
            [self.choice] * constant,
        )

    def collect(self) -> list[Seen]:
        """What the entries sent last are, in their order."""
        found: list[Seen] = []
        for number, (batch, outcomes) in enumerate(zip(self._batches, self._results, strict=True), self._first):
            for at, (entry, one) in enumerate(zip(batch, outcomes, strict=True)):
                if one.snapshot is not None and not one.is_index and not self.choice.takes_snapshot(one.snapshot):
                    found.append(Seen(entry, one.sha256))
                    continue
                # What comes from a worker is a copy: the entry and the few names there are stand once.
                shared = {name: value and sys.intern(value) for name, value in one.names.items()}
                found.append(msgspec.structs.replace(one, entry=entry, **shared))
                if one.snapshot is not None:
                    self._places[entry.source][entry.path] = number * FILES_OF_BATCH + at
            self.progress.advance(len(batch))
        self._batches = []
        self.seen += found
        return found

    def restore(self, stays: Mapping[str, Sequence[Stay]]) -> list[Seen]:
        """Spill what stays of published builds, by snapshot; returns it as files that were seen.

        Their sources have numbers of their own, below 0: paths of several sources may be the same.
        """
        batches = [
            (build, snapshot, [stay.part for stay in group])
            for snapshot, of_snapshot in stays.items()
            for build, group in groupby(of_snapshot, key=lambda stay: stay.build)
        ]
        first, self._sent = self._sent, self._sent + len(batches)
        arguments = zip(*batches, strict=True) if batches else ([], [], [])
        builds, snapshots, parts = map(list, arguments)
        numbers = range(first, self._sent)
        for _ in self.workers.run(restore_parts, builds, [self.scratch] * len(batches), snapshots, parts, numbers):
            pass
        restored: list[Seen] = []
        for number, (_, _, group) in zip(numbers, batches, strict=True):
            for at, part in enumerate(group):
                role = IndexRole(part.snapshot, part.stack) if part.stack is not None else None
                entry = Entry(-1 - len(restored), part.path, b"", role)
                self._places[entry.source][entry.path] = number * FILES_OF_BATCH + at
                restored.append(Seen(entry, part.sha256, part.snapshot, part.package, part.specs))
        return restored

    def take_places(self, pages: Iterable[Seen]) -> list[int]:
        """Where the rows of ``pages`` were spilled: a batch and the number of a file in it; given once."""
        return [self._places[page.entry.source].pop(page.entry.path) for page in pages]

    def close(self) -> None:
        """End the processes, and give up what was spilled."""
        self.workers.close()
        self._places.clear()
        for path in self.scratch.glob("*.arrow"):
            path.unlink()


def read_batch(
    sources: Sequence[Source], entries: Sequence[Entry], scratch: Path, batch: int, choice: Choice
) -> list[Seen]:
    """What the entries are; what reads them is loaded where this is called."""
    if entries[0].index is not None:
        from pipeline.store.extract_index import extract_index

        return [extract_index(sources[entry.source], entry, scratch, batch) for entry in entries]
    from pipeline.store.extract import extract_batch

    return extract_batch(sources, entries, scratch, batch, choice)


def restore_parts(build: BuildPaths, scratch: Path, snapshot: str, parts: Sequence[Part], batch: int) -> None:
    """As :func:`pipeline.store.parquet.restore`."""
    from pipeline.store.parquet import restore

    restore(build, scratch, snapshot, parts, batch)


def make_batches(entries: Sequence[Entry]) -> Iterable[list[Entry]]:
    """Cut ``entries`` into batches of about ``BATCH_BYTES``, or one larger file, or one index."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        if entry.index is not None:
            yield [entry]
            continue
        if batch and (size + entry.size > BATCH_BYTES or len(batch) == BATCH_FILES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry.size
    if batch:
        yield batch


def write_snapshots(build: BuildPaths, reader: Reader, winners: dict[str, list[Seen]]) -> dict[str, SnapshotRows]:
    """Write the Parquet files of each snapshot in ``winners``."""
    reader.progress.stage("writing", len(winners), "snapshot")
    places = [reader.take_places(pages) for pages in winners.values()]
    constant = len(winners)
    written = {}
    results = reader.workers.run(write_rows, [build] * constant, [reader.scratch] * constant, list(winners), places)
    for snapshot, counts in zip(winners, results, strict=True):
        written[snapshot] = counts
        reader.progress.advance(1)
    return written


def write_unparted(
    build: BuildPaths, reader: Reader, seen: Iterable[Seen], rows: Sequence[SourceRow], keep: bool
) -> None:
    """Write the rejects of files that could not be loaded at all, and the ``rows`` of ``sources``."""
    rejected = sorted((one for one in seen if one.reject is not None), key=lambda one: one.entry_key)
    for _ in reader.workers.run(write_files, [build], [rejected], [rows], [keep]):
        pass


def write_files(build: BuildPaths, rejected: Sequence[Seen], rows: Sequence[SourceRow], keep: bool) -> None:
    """As :func:`pipeline.store.parquet.write_file_rejects` and :func:`pipeline.store.parquet.write_sources`."""
    from pipeline.store.parquet import write_file_rejects, write_sources

    write_file_rejects(build, rejected)
    write_sources(build, rows, keep)


def write_rows(build: BuildPaths, scratch: Path, snapshot: str, places: Sequence[int]) -> SnapshotRows:
    """Write the Parquet files of one snapshot: see :func:`pipeline.store.parquet.write_snapshot`."""
    from pipeline.store.parquet import write_snapshot

    return write_snapshot(build, scratch, snapshot, places)
