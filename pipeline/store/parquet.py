"""A snapshot's spilled rows to its final Parquet files, and back where a build takes rows from a published one.

They are sorted, typed, and the same bytes for the same input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import WarehouseError
from pipeline.layout import BuildPaths
from pipeline.schema import CLOSURE_TABLES, SOURCES, STORED_SPECS, arrow_schema
from pipeline.specs.closure import Graph, add_libcs
from pipeline.specs.installable import find_installs
from pipeline.store.frames import (
    DEPENDENCY_SCHEMA,
    FILE,
    PAGE_SCHEMA,
    RECORD_SCHEMA,
    REJECT_SCHEMA,
    SPEC_STACKS_SCHEMA,
    Spilled,
    complete,
    complete_specs,
    make_rows,
    spill,
    to_table,
)
from pipeline.store.merge import NUMBER, Merged, gather_places, merge_dependencies, merge_indexes, merge_pages
from pipeline.store.state import KEEP, LOADED, Part, Seen, SnapshotRows, SourceRow

GROUP_ROWS = 122_880
"""Rows of a Parquet row group: those of DuckDB's own."""

DISTINCT = ("hash", "tarball_url")
"""Columns whose values are too many for a dictionary, which would be begun and given up."""


def write_snapshot(build: BuildPaths, scratch: Path, snapshot: str, places: Sequence[int]) -> SnapshotRows:
    """Write the Parquet files of one snapshot.

    ``places`` are where the rows of its files were spilled, indexes first, then pages in the order of their packages.
    """
    spilled = Spilled(scratch, places)
    has_indexes = spilled.pages["stack"].is_not_null().any()
    merge = merge_indexes if has_indexes else merge_pages
    merged = merge(spilled.read("specs"), spilled.pages, spilled.read_in_order("rejects"), snapshot)
    if has_indexes:
        records = spilled.read("records").sort("stack", "source", "package", "hash")
        dependencies = spilled.read("dependencies")
        graph = Graph(merged.specs, records, dependencies)
        whole = has_all_records(merged.pages, records)
        installs = find_installs(graph, mark_places(merged), dependencies, whole)
        for table, found in zip(CLOSURE_TABLES, (installs.missing, installs.externals), strict=True):
            write_frame(build.loaded(table.name, snapshot), found, arrow_schema(table, without=("snapshot",)))
        merged = merged._replace(
            specs=add_libcs(merged.specs, graph), places=merged.places.with_columns(installs.installable)
        )
        write_frame(build.records(snapshot), records, RECORD_SCHEMA)
        dependencies = merge_dependencies(dependencies, pl.concat([merged.specs["hash"], records["hash"]]))
        write_frame(build.dependencies(snapshot), dependencies, DEPENDENCY_SCHEMA)
    rows = write_tables(build.spec_stacks(snapshot), cut_groups(merged), SPEC_STACKS_SCHEMA)
    # DuckDB loads specs at their own grain from here, half the work that the rows of spec_stacks would be.
    stored = gather_places(merged).drop(NUMBER).to_arrow()
    path = build.loaded(STORED_SPECS.name, snapshot)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(stored, path, compression="lz4", write_statistics=False)
    del stored
    write_frame(build.pages(snapshot), merged.pages, PAGE_SCHEMA)
    if merged.rejects.height:
        write_frame(build.rejects(snapshot), merged.rejects, REJECT_SCHEMA)
    indexes = int(merged.pages["stack"].is_not_null().sum())
    return SnapshotRows(len(places) - indexes, indexes, merged.specs.height, rows, merged.rejects.height)


def mark_places(merged: Merged) -> pl.DataFrame:
    """The ``hash`` and ``stack`` of each place, and whether it is ``of_index``, or else of a page."""
    indexes = merged.pages.filter(pl.col("stack").is_not_null()).select("stack", source="path", of_index=True)
    return merged.places.join(indexes.unique(), on=["stack", "source"], how="left", maintain_order="left").select(
        "stack", pl.col("of_index").fill_null(False), hash=merged.specs["hash"].gather(merged.places[NUMBER])
    )


def has_all_records(pages: pl.DataFrame, records: pl.DataFrame) -> bool:
    """Whether the externals and holes of all indexes are rows of ``records``: 0.1.0 published their number alone."""
    counted = pages.filter(pl.col("stack").is_not_null()).select(counted=pl.col("externals") + pl.col("holes"))
    return counted["counted"].null_count() == 0 and int(counted["counted"].sum()) <= records.height


def cut_groups(merged: Merged) -> Iterator[pa.Table]:
    """The rows of ``spec_stacks``, sorted by package, hash and stack, in the row groups of a Parquet file."""
    specs = merged.specs.drop(NUMBER, "source", "size_bytes")
    for start in range(0, max(merged.places.height, 1), GROUP_ROWS):
        places = merged.places.slice(start, GROUP_ROWS)
        said = (places[name] for name in ("stack", "source", "size_bytes", "installable"))
        yield to_table(specs[places[NUMBER]].with_columns(*said), SPEC_STACKS_SCHEMA)


def write_frame(path: Path, frame: pl.DataFrame, schema: pa.Schema) -> int:
    """Write a frame as a Parquet file of one row group; returns the number of rows."""
    return write_tables(path, [to_table(frame, schema)], schema)


def write_tables(path: Path, tables: Iterable[pa.Table], schema: pa.Schema) -> int:
    """Write ``tables`` as the row groups of one Parquet file; returns the number of rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    options = {"compression": "zstd", "use_dictionary": [name for name in schema.names if name not in DISTINCT]}
    # Row groups are sorted by package: the bounds of any other column would let a reader skip nothing.
    with pq.ParquetWriter(path, schema, write_statistics=["package"], **options) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=max(table.num_rows, 1))
            count += table.num_rows
    return count


def write_file_rejects(build: BuildPaths, seen: Sequence[Seen]) -> int:
    """Write the rejects of files that gave no page at all, in the order of ``seen``; always a file."""
    rows = [
        {
            **one.reject._asdict(),
            "path": one.entry.path,
            "snapshot": one.entry.index and one.entry.index.snapshot,
            "stack": one.entry.index and one.entry.index.stack,
        }
        for one in seen
        if one.reject is not None
    ]
    return write_frame(build.rejects(None), make_rows("rejects", rows, [0] * len(rows)), REJECT_SCHEMA)


def write_sources(build: BuildPaths, rows: Sequence[SourceRow], keep: bool) -> None:
    """Write the table ``sources``, and whether snapshots are kept, for later builds to read."""
    schema = arrow_schema(SOURCES).with_metadata({KEEP: b"true" if keep else b"false"})
    columns = [pa.array([getattr(row, field.name) for row in rows], field.type) for field in schema]
    write_tables(build.sources, [pa.table(columns, schema=schema)], schema)


def restore(build: BuildPaths, scratch: Path, snapshot: str, parts: Sequence[Part], batch: int) -> None:
    """Spill what ``parts`` of a snapshot gave to a published build, numbered in their order.

    The build may be an older version's: columns that it lacks are NULL, and what is derived is computed anew.
    """
    files = pl.DataFrame(
        {
            "source": [part.path for part in parts],
            "stack": [part.stack for part in parts],
            "package": [part.package for part in parts],
            "state": [part.state for part in parts],
            FILE: range(len(parts)),
        },
        schema={**dict.fromkeys(("source", "stack", "package", "state"), pl.String), FILE: pl.UInt16},
    )
    stacks = read_published(build.spec_stacks(snapshot))
    of_indexes = stacks.join(files.select("source", "stack", FILE), on=["source", "stack"])
    of_pages = stacks.join(files.filter(pl.col("stack").is_null()).select("source", FILE), on="source")
    rows = pl.concat([of_indexes, of_pages]).group_by(FILE, "hash", maintain_order=True)
    specs = complete_specs(rows.agg(pl.exclude("stack").first(), stacks=pl.col("stack")))
    spill(scratch, batch, "specs", specs)
    holders = of_indexes.select("hash", FILE)
    if build.records(snapshot).exists():
        records = read_published(build.records(snapshot))
        records = records.join(files.select("source", "stack", FILE), on=["source", "stack"])
        spill(scratch, batch, "records", complete("records", records))
        holders = pl.concat([holders, records.select("hash", FILE)])
    if build.dependencies(snapshot).exists():
        edges = read_published(build.dependencies(snapshot))
        edges = edges.join(holders.unique(maintain_order=True), on="hash")
        spill(scratch, batch, "dependencies", complete("dependencies", edges))
    files = files.rename({"source": "path"})
    pages = read_published(build.pages(snapshot)).drop("state", strict=False)
    pages = pages.join(files, on=["path", "stack", "package"], nulls_equal=True)
    spill(scratch, batch, "pages", complete("pages", pages.with_columns(pl.col("state").fill_null(LOADED))))
    if build.rejects(snapshot).exists():
        rejects = read_published(build.rejects(snapshot))
        of_files = files.select("path", "stack", FILE)
        spill(
            scratch,
            batch,
            "rejects",
            complete("rejects", rejects.join(of_files, on=["path", "stack"], nulls_equal=True)),
        )


def read_published(path: Path) -> pl.DataFrame:
    """A Parquet file of a published build, without the snapshot that its folder may be read as.

    Raises:
        WarehouseError: it is damaged.
    """
    try:
        return pl.DataFrame(pq.ParquetFile(path).read())
    except (OSError, pa.ArrowException) as error:
        raise WarehouseError(f"{path}: is damaged, and its rows were to stay: {str(error).splitlines()[0]}") from None
