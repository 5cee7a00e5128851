"""Delta Lake tables over a warehouse's Parquet, for engines that read no DuckDB file.

::

    OUT/TABLE/_delta_log/               the versions of the table: a commit for each snapshot that changed
    OUT/TABLE/snapshot=NAME/DIGEST.parquet

The Parquet is the warehouse's own: a hard link, or a copy where the folder lies on another file system. A file is named
by its digest and never changes, so that a version stays readable until :func:`write_delta` gives up its files. The log
is written by delta-rs, after the protocol: https://github.com/delta-io/delta/blob/master/PROTOCOL.md.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.catalog.tables import PLAIN
from pipeline.errors import NoWarehouseError, WarehouseError
from pipeline.io.disk import hold_folder, link_or_copy, renew_file
from pipeline.io.progress import Progress, number_of
from pipeline.layout import BuildPaths, Layout
from pipeline.schema import TABLES, Relation, arrow_schema
from pipeline.store.state import digest_files

try:
    from deltalake import CommitProperties, DeltaTable, Schema
    from deltalake.exceptions import DeltaError
    from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions
except ImportError as error:
    raise WarehouseError(f"{error.name} is missing: Delta tables need: pip install 'spack-warehouse[delta]'") from None

LOCK = ".lock"
LOG = "_delta_log"
PARTITION = "snapshot"
KEPT_DAYS = 30
"""Days for which the files of a version stay that later ones do not need."""


@dataclass(frozen=True)
class DeltaFile:
    """A Parquet file of a table: its ``path`` in the table's folder, where its bytes lie now, and of which snapshot it
    is; None where the table has no folders of snapshots.
    """

    path: str
    place: Path
    snapshot: str | None


@dataclass(frozen=True)
class DeltaSummary:
    """What was written: the tables, their versions, and the number of commits, of new files and of files given up."""

    versions: Mapping[str, int]
    commits: int
    files: int
    removed: int

    def describe(self) -> str:
        """The same as a line."""
        done = f"{number_of(self.commits, 'commit')}, {number_of(self.files, 'new file')}, {self.removed:,} removed"
        return f"{number_of(len(self.versions), 'Delta table')}: {done}"


def write_delta(
    layout: Layout, out: Path, kept_days: int = KEPT_DAYS, progress: Progress | None = None
) -> DeltaSummary:
    """Bring the Delta tables in ``out`` to the state of a warehouse; those that are so already get no new version.

    Files that no version of the last ``kept_days`` days needs are removed. Two at once write one after the other.

    Raises:
        NoWarehouseError: there is no warehouse.
        WarehouseError: what lies in ``out`` is no Delta table, or is damaged; a snapshot's name is not plain.
        OSError: a file cannot be written.
    """
    build = layout.held
    if build is None:
        raise NoWarehouseError(f"{layout.root}: no warehouse is here")
    for snapshot in build.list_snapshots():
        # How the log spells a name that needs encoding is read in different ways.
        if not PLAIN.fullmatch(snapshot):
            raise WarehouseError(f"snapshot {snapshot!r}: readers of Delta tables do not agree on such a name")
    layout.refuse_inside(out)
    with hold_folder(out / LOCK, partial((progress or Progress()).wait, out, "publish")):
        return _write_tables(build, out, kept_days)


def _write_tables(build: BuildPaths, out: Path, kept_days: int) -> DeltaSummary:
    digests = digest_files(build)
    versions: dict[str, int] = {}
    commits = files = removed = 0
    for relation in TABLES:
        listed = list(list_files(build, relation, digests))
        if not listed:
            continue
        try:
            table = Table(out / relation.name, relation, is_parted(listed))
            commits += table.commit(listed)
            removed += len(table.vacuum(kept_days))
        except DeltaError as error:
            raise WarehouseError(f"{out / relation.name}: {str(error).splitlines()[0]}") from None
        files += table.files
        versions[relation.name] = table.version
    return DeltaSummary(versions, commits, files, removed)


def list_files(build: BuildPaths, relation: Relation, digests: Mapping[str, str]) -> Iterator[DeltaFile]:
    """The files of a table, by path; ``digests`` are those of a build's files, by their paths in it."""
    for path, digest in digests.items():
        table, *folders = path.split("/")[:-1] or [""]
        if table == relation.name:
            snapshot = unquote(folders[0].partition("=")[2]) if folders else None
            yield DeltaFile("/".join([*folders, f"{digest[:32]}.parquet"]), build.folder / path, snapshot)


def is_parted(files: list[DeltaFile]) -> bool:
    """Whether a table has a folder for each snapshot; its files are then without that column."""
    return any(file.snapshot is not None for file in files)


class Table:
    """One Delta table in a folder; ``files`` counts those that were put there."""

    def __init__(self, folder: Path, relation: Relation, parted: bool) -> None:
        self.folder, self.files = folder, 0
        self.schema = Schema.from_arrow(arrow_schema(relation))
        self.partitions = [PARTITION] if parted else []
        self._table = DeltaTable(str(folder)) if (folder / LOG).is_dir() else None

    @property
    def version(self) -> int:
        return self._table.version() if self._table else -1

    def commit(self, files: list[DeltaFile]) -> int:
        """Make ``files`` what the newest version has, by a commit for each snapshot that changed; returns how many."""
        there = self._list_paths()
        named = {file.path: file for file in files}
        for file in files:
            # Also what the log has already: a file may have been lost or cut since.
            self._put(file)
        if self._table and self._table.schema() != self.schema:
            # Columns of another version of this program: all at once, so that no version mixes the two.
            self._create([self._add(file) for file in files], "overwrite", None)
            return 1
        changes: dict[str | None, list[Any]] = {}
        for file in files:
            if file.path not in there:
                changes.setdefault(file.snapshot, []).append(self._add(file))
        for path in there.keys() - named.keys():
            snapshot = there[path]
            changes.setdefault(snapshot, []).append(RemoveAction(path, True, _now()))
        for snapshot, actions in sorted(changes.items(), key=lambda one: one[0] or ""):
            if self._table is None:
                self._create(actions, "error", snapshot)
            else:
                self._table.create_write_transaction(
                    actions, "append", self.schema, self.partitions, commit_properties=_describe(snapshot)
                )
                self._table.update_incremental()
        return len(changes)

    def vacuum(self, kept_days: int) -> list[str]:
        """Remove the files that no version of the last ``kept_days`` days needs; returns their paths."""
        if self._table is None:
            return []
        removed: list[str] = self._table.vacuum(24 * kept_days, dry_run=False, enforce_retention_duration=False)
        return removed

    def _create(self, actions: list[Any], mode: Any, snapshot: str | None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        create_table_with_add_actions(
            str(self.folder),
            self.schema,
            actions,
            mode,
            self.partitions,
            name=self.folder.name,
            commit_properties=_describe(snapshot),
        )
        self._table = DeltaTable(str(self.folder))
        _forget_place(self.folder / LOG / f"{self.version:020}.json")

    def _list_paths(self) -> dict[str, str | None]:
        """The snapshot of each file of the newest version, by its path."""
        if self._table is None:
            return {}
        actions = pa.table(self._table.get_add_actions(flatten=True))
        snapshots = actions[f"partition.{PARTITION}"].to_pylist() if self.partitions else [None] * len(actions)
        return dict(zip(actions["path"].to_pylist(), snapshots, strict=True))

    def _put(self, file: DeltaFile) -> None:
        """Put a file into the table's folder: its own bytes, by another name."""
        target = self.folder / file.path
        if target.is_file() and target.stat().st_size == file.place.stat().st_size:
            return
        target.unlink(missing_ok=True)
        link_or_copy(file.place, target)
        self.files += 1

    def _add(self, file: DeltaFile) -> Any:
        place = self.folder / file.path
        rows = pq.read_metadata(place).num_rows
        partition = {PARTITION: file.snapshot} if self.partitions else {}
        size = place.stat()
        stats = json.dumps({"numRecords": rows})
        return AddAction(file.path, size.st_size, partition, size.st_mtime_ns // 10**6, True, stats)


def _describe(snapshot: str | None) -> CommitProperties:
    return CommitProperties(custom_metadata={} if snapshot is None else {PARTITION: snapshot})


def _now() -> int:
    """Milliseconds since 1970, as the log has them: what is removed stays for some days from then on."""
    return time.time_ns() // 10**6


def _forget_place(path: Path) -> None:
    """Take out of a commit where on this machine its table lies."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        with contextlib.suppress(KeyError):
            del line["commitInfo"]["operationParameters"]["location"]
    renew_file(path, "".join(f"{json.dumps(line, separators=(',', ':'))}\n" for line in lines).encode())
