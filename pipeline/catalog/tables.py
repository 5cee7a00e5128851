"""The Parquet of every table: of what belongs to one snapshot a file each, of all else one file.

A file of a snapshot lies in a folder ``part=SNAPSHOT``: readers that know such folders open only those of the snapshots
that are asked for. Rows are sorted by package first, in groups so small, and with such statistics, that the rows of one
package in one snapshot are read by less than a megabyte.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import duckdb

from pipeline.catalog.folder import Publication
from pipeline.catalog.promise import Promise, keep_promise
from pipeline.io.progress import Progress
from pipeline.layout import BuildPaths, partition_name
from pipeline.report.folder import DATA
from pipeline.schema import CHANGES, SNAPSHOT_TABLES, SPEC_STACKS, Relation, arrow_schema
from pipeline.sources.buildcache import ALL
from pipeline.store.database import quote_name, quote_text
from pipeline.store.state import fingerprint, read_state

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 16_384
"""Rows of a Parquet row group: about 300 kB of spec_stacks."""
PARTED: Mapping[str, str] = {
    SPEC_STACKS.name: "snapshot",
    "specs": "snapshot",
    **{table.name: "snapshot" for table in SNAPSHOT_TABLES[1:]},
    CHANGES.name: "to_snapshot",
}
"""The column that says of which snapshot a row is, of tables that have a file for each."""
SORTED: Mapping[str, str] = {SPEC_STACKS.name: "package, hash, stack, source", "specs": "package, hash, source"}
"""The order of rows, which no two of a snapshot share; of all other tables that of their columns."""
STATISTICS = ("snapshot", "package", "hash", "stack", "dependency", "to_snapshot")
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")
"""Snapshots whose name is that of their folder: no reader, server or file system takes it for another."""


@dataclass(frozen=True)
class TableFile:
    """A Parquet file of a table: its path, rows, and of which snapshot it is; ``plain`` where its folder says so."""

    path: str
    rows: int
    snapshot: str | None = None

    @property
    def plain(self) -> bool:
        return self.snapshot is not None and PLAIN.fullmatch(self.snapshot) is not None


TableFiles = Mapping[str, Sequence[TableFile]]


class PartInputs:
    """Digests of what the rows of a snapshot are made of; empty where the warehouse does not say."""

    def __init__(self, build: BuildPaths) -> None:
        state = read_state(build)
        self._files = {} if state is None else state.files
        self._program = fingerprint(ALL)

    def digest(self, *snapshots: str) -> str:
        """The digest of the snapshots' files."""
        folders = {partition_name(snapshot) for snapshot in snapshots}
        held = sorted(one for one in self._files.items() if not folders.isdisjoint(re.split(r"/|\.parquet", one[0])))
        return hashlib.sha256(f"{self._program} {held}".encode()).hexdigest() if held else ""


def folder_of(table: str, snapshot: str | None) -> str:
    """The folder of a table's file."""
    if snapshot is None:
        return f"{DATA}/{table}"
    name = snapshot if PLAIN.fullmatch(snapshot) else hashlib.sha256(snapshot.encode()).hexdigest()[:16]
    return f"{DATA}/{table}/part={name}"


def write_tables(
    connection: duckdb.DuckDBPyConnection,
    promise: Promise,
    snapshots: Sequence[str],
    inputs: PartInputs,
    publication: Publication,
    progress: Progress,
) -> TableFiles:
    """Publish the Parquet of every table that a version of the schema promises; returns the files by table."""
    progress.stage("writing tables", len(promise.tables), "table")
    files: dict[str, list[TableFile]] = {}
    for name in promise.tables:
        table = keep_promise(promise, name)
        parts = list(name_parts(connection, table, snapshots))
        for snapshot in parts:
            # What is the same in another version is the same part.
            shape = hashlib.sha256(repr(table).encode()).hexdigest()[:16]
            key = f"{name}/{snapshot or ''}/{shape}"
            # The difference to a snapshot before is made of that, too.
            known = inputs.digest(snapshot) if snapshot is not None and table.names[0] == "snapshot" else ""
            if not publication.keep_part(key, known):
                scratch = publication.scratch()
                rows = write_table(connection, table, snapshot, scratch)
                path = f"{folder_of(name, snapshot)}/{{digest}}.parquet"
                publication.add_part(key, known, path, scratch, rows)
            part = publication.parts[key]
            files.setdefault(name, []).append(TableFile(part.path, part.rows, snapshot))
        progress.advance(1)
    return files


def name_parts(
    connection: duckdb.DuckDBPyConnection, table: Relation, snapshots: Sequence[str]
) -> Iterator[str | None]:
    """The snapshots of which a table has a file: those with rows, and one at least; None is a file of all rows."""
    column = PARTED.get(table.name)
    if column is None:
        yield None
        return
    held = {name for (name,) in connection.execute(f"select distinct {column} from {table.name}").fetchall()}
    found = [name for name in snapshots if name in held]
    yield from found or (*snapshots[:1],)


def write_table(connection: duckdb.DuckDBPyConnection, table: Relation, snapshot: str | None, path: Path) -> int:
    """Write a table's rows, of one snapshot or all, as a Parquet file; returns their number."""
    # Of data that are as they were, nothing is written, and neither Arrow nor Polars is loaded.
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipeline.store.parquet import DISTINCT

    schema = arrow_schema(table)
    named = [(quote_name(one.name), one.type) for one in table.columns]
    columns = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in named)
    where = "" if snapshot is None else f" where {PARTED[table.name]} = {quote_text(snapshot)}"
    query = f"select {columns} from {table.name}{where} order by {SORTED.get(table.name, 'all')}"
    reader = connection.sql(query).to_arrow_reader(GROUP_ROWS)
    rows = 0
    options = {
        "compression": "zstd",
        "use_dictionary": [name for name in schema.names if name not in DISTINCT],
        "write_statistics": [name for name in schema.names if name in STATISTICS] or False,
    }
    with pq.ParquetWriter(path, schema, **options) as writer:
        for group in _regroup(reader):
            writer.write_table(pa.Table.from_batches(group).cast(schema), row_group_size=GROUP_ROWS)
            rows += sum(batch.num_rows for batch in group)
        if not rows:
            writer.write_table(schema.empty_table())
    return rows


def _regroup(reader: pa.RecordBatchReader) -> Iterator[list[pa.RecordBatch]]:
    """Batches of any size brought together to row groups: where DuckDB cuts them is not ours to know."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in reader:
        start = 0
        while start < batch.num_rows:
            piece = batch.slice(start, GROUP_ROWS - count)
            held.append(piece)
            count += piece.num_rows
            start += piece.num_rows
            if count == GROUP_ROWS:
                yield held
                held, count = [], 0
    if held:
        yield held


def address_of(base_url: str, path: str) -> str:
    """The address of a file of what is published."""
    return f"{base_url.rstrip('/')}/{quote(path, safe='/=+')}"
