"""Spilled rows to the final Parquet files: sorted, typed, and the same bytes for the same input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.columns import PAGES_TABLE, REJECTS, SPEC_STACKS, arrow_schema
from pipeline.extract import REJECT_SCHEMA
from pipeline.layout import BuildPaths
from pipeline.state import Rows, Seen, SnapshotRows

GROUP_SPECS = 50_000
"""Specs to a Parquet row group, at least: with their stacks about the 122,880 rows of DuckDB's own."""

SPEC_STACKS_SCHEMA = arrow_schema(SPEC_STACKS, without=("snapshot",))


class Spilled:
    """The spilled tables of a build's batches, mapped into memory one after the other."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self._open: dict[str, pa.Table] = {}

    def table(self, batch: str, kind: str) -> pa.Table:
        name = f"{batch}.{kind}.arrow"
        if name not in self._open:
            with pa.memory_map(str(self.scratch / name)) as file:
                self._open[name] = pa.ipc.open_file(file).read_all()
        return self._open[name]

    def specs(self, rows: Rows) -> pa.Table:
        return self.table(rows.batch, "specs").slice(rows.specs, rows.num_specs)

    def page(self, rows: Rows) -> pa.Table:
        return self.table(rows.batch, "pages").slice(rows.page, 1)

    def rejects(self, rows: Rows) -> pa.Table:
        return self.table(rows.batch, "rejects").slice(rows.rejects, rows.num_rejects)


def write_snapshot(build: BuildPaths, scratch: Path, snapshot: str, pages: Sequence[Rows]) -> SnapshotRows:
    """Write the Parquet files of one snapshot; ``pages`` come in the order of their packages.

    A hash names one spec of a snapshot. Where two pages give it, the first keeps it and the rest
    become rejects.
    """
    spilled = Spilled(scratch)
    specs = [spilled.specs(rows) for rows in pages]
    page_rows = pa.concat_tables([spilled.page(rows) for rows in pages])
    rejects = pa.concat_tables([spilled.rejects(rows) for rows in pages])
    hashes = pa.concat_tables([table.select(["hash"]) for table in specs])["hash"]
    if pc.count_distinct(hashes).as_py() != len(hashes):
        specs, page_rows, more = reject_repeats(specs, page_rows, snapshot)
        rejects = pa.concat_tables([rejects, more]).sort_by("path")
    rows = write_tables(build.spec_stacks(snapshot), map(add_stacks, group_tables(specs)), SPEC_STACKS_SCHEMA)
    write_tables(build.pages(snapshot), [page_rows], arrow_schema(PAGES_TABLE, without=("snapshot",)))
    if rejects.num_rows:
        write_tables(build.rejects(snapshot), [rejects], arrow_schema(REJECTS))
    return SnapshotRows(len(pages), sum(table.num_rows for table in specs), rows, rejects.num_rows)


def reject_repeats(
    specs: Sequence[pa.Table], pages: pa.Table, snapshot: str
) -> tuple[list[pa.Table], pa.Table, pa.Table]:
    """Take specs whose hash an earlier page of the snapshot gave out of ``specs``.

    Returns the specs that stay, the page rows with their counts set right, and the new rejects.
    """
    owners: dict[str, int] = {}
    kept, rows, rejects = [], pages.to_pylist(), []
    for number, (table, page) in enumerate(zip(specs, rows, strict=True)):
        keep = []
        for index, hash in enumerate(table["hash"].to_pylist()):
            owner = owners.setdefault(hash, number)
            keep.append(owner == number)
            if owner != number:
                rejects.append(
                    {
                        "path": page["path"],
                        "place": f"spec_details[hash={hash}]",
                        "reason": f"the hash stands already in {rows[owner]['path']}, of the same snapshot",
                        "raw": msgspec.json.encode(table.slice(index, 1).to_pylist()[0]).decode(),
                        "specs": 1,
                        "snapshot": snapshot,
                        "package": page["package"],
                    }
                )
        kept.append(table.filter(pa.array(keep, pa.bool_())))
        page["specs"] = sum(keep)
        page["rejects"] += len(keep) - sum(keep)
    return kept, pa.Table.from_pylist(rows, schema=pages.schema), pa.Table.from_pylist(rejects, schema=REJECT_SCHEMA)


def group_tables(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Join consecutive pages until they make a row group: the same groups however they were spilled."""
    group: list[pa.Table] = []
    rows = 0
    for table in tables:
        group.append(table)
        rows += table.num_rows
        if rows >= GROUP_SPECS:
            yield pa.concat_tables(group).combine_chunks()
            group, rows = [], 0
    if group:
        yield pa.concat_tables(group).combine_chunks()


def add_stacks(specs: pa.Table) -> pa.Table:
    """A row per spec and stack, in the order of package, hash and stack, as specs and stacks come."""
    stacks = specs["stacks"].combine_chunks()
    rows = specs.drop_columns(["stacks"]).take(pc.list_parent_indices(stacks))
    return rows.add_column(2, "stack", stacks.flatten()).cast(SPEC_STACKS_SCHEMA)


def write_tables(path: Path, tables: Iterable[pa.Table], schema: pa.Schema) -> int:
    """Write ``tables`` as the row groups of one Parquet file; returns the number of rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table in tables:
            # One chunk per column: page boundaries in the file follow chunks.
            writer.write_table(table.cast(schema).combine_chunks(), row_group_size=max(table.num_rows, 1))
            count += table.num_rows
    return count


def write_file_rejects(build: BuildPaths, seen: Iterable[Seen]) -> int:
    """Write the rejects of files that gave no page at all, in the order of ``seen``; always a file."""
    rows = [{**one.reject._asdict(), "path": one.entry.path} for one in seen if one.reject is not None]
    table = pa.Table.from_pylist(rows, schema=REJECT_SCHEMA)
    return write_tables(build.rejects(None), [table], REJECT_SCHEMA)
