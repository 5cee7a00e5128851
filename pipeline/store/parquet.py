"""Spilled rows to the final Parquet files: sorted, typed, and the same bytes for the same input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.layout import BuildPaths
from pipeline.schema import SPEC_STACKS, arrow_schema
from pipeline.store.extract import PAGE_SCHEMA, REJECT_SCHEMA
from pipeline.store.extract_index import DEPENDENCY_SCHEMA
from pipeline.store.merge import Merged, count_sources, merge_dependencies, merge_specs
from pipeline.store.state import Rows, Seen, SnapshotRows, unpack_rows

GROUP_SPECS = 50_000
"""Specs to a Parquet row group, at least: with their stacks about the 122,880 rows of DuckDB's own."""

GROUP_ROWS = 122_880

DISTINCT = ("hash", "tarball_url")
"""Columns whose values are too many for a dictionary, which would be begun and given up."""

SPEC_STACKS_SCHEMA = arrow_schema(SPEC_STACKS, without=("snapshot",))


class Spilled:
    """The spilled tables of a build's batches, mapped into memory when they are first asked for."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._open: dict[str, pa.Table] = {}

    def join(self, kind: str, pages: Sequence[Rows]) -> pa.Table:
        """The rows of ``pages`` in the tables of one kind: ``specs``, ``pages`` or ``rejects``."""
        return pa.concat_tables([self._table(batch, kind).slice(*span) for batch, span in find_spans(kind, pages)])

    def _table(self, batch: str, kind: str) -> pa.Table:
        name = f"{batch}.{kind}.arrow"
        if name not in self._open:
            with pa.memory_map(str(self._scratch / name)) as file:
                self._open[name] = pa.ipc.open_file(file).read_all()
        return self._open[name]


def find_spans(kind: str, pages: Iterable[Rows]) -> list[tuple[str, tuple[int, int]]]:
    """Where the rows of ``pages`` stand: batch, and start and length; neighbours are taken as one."""
    spans: list[tuple[str, tuple[int, int]]] = []
    for page in pages:
        start, length = page.span(kind)
        if spans and spans[-1][0] == page.batch and sum(spans[-1][1]) == start:
            start, length = spans[-1][1][0], spans[-1][1][1] + length
            spans.pop()
        spans.append((page.batch, (start, length)))
    return spans


def write_snapshot(build: BuildPaths, scratch: Path, snapshot: str, packed: Sequence[bytes]) -> SnapshotRows:
    """Write the Parquet files of one snapshot.

    ``packed`` tells by :func:`pack_rows` where the rows of its pages stand, in the order of their packages.

    A hash names one spec of a snapshot. Where two pages give it, the first keeps it and the rest
    become rejects. Indexes are brought together by :mod:`pipeline.store.merge`.
    """
    spilled = Spilled(scratch)
    pages = unpack_rows(packed)
    groups = [spilled.join("specs", group) for group in group_pages(pages)]
    page_rows, rejects = spilled.join("pages", pages), spilled.join("rejects", pages)
    indexes = [page for page in pages if page.is_index]
    if indexes:
        merged = merge_specs(pa.concat_tables(map(add_stacks, groups)), snapshot)
        groups.clear()
        hashes = pc.unique(merged.rows["hash"])
        specs = len(hashes)
        rows = write_tables(build.spec_stacks(snapshot), cut_groups(merged.rows), SPEC_STACKS_SCHEMA)
        page_rows, rejects = count_merged(page_rows, merged), pa.concat_tables([rejects, merged.rejects])
        del merged
        dependencies = merge_dependencies(spilled.join("dependencies", indexes), hashes)
        write_tables(build.dependencies(snapshot), [dependencies], DEPENDENCY_SCHEMA)
    else:
        given = pa.concat_tables([group.select(["hash"]) for group in groups])["hash"]
        if pc.count_distinct(given).as_py() != len(given):
            groups, page_rows, more = reject_repeats(groups, page_rows, snapshot)
            rejects = pa.concat_tables([rejects, more])
        specs = sum(group.num_rows for group in groups)
        rows = write_tables(build.spec_stacks(snapshot), map(add_stacks, groups), SPEC_STACKS_SCHEMA)
    write_tables(build.pages(snapshot), [page_rows], PAGE_SCHEMA)
    if rejects.num_rows:
        write_tables(build.rejects(snapshot), [rejects], REJECT_SCHEMA)
    return SnapshotRows(len(pages), specs, rows, rejects.num_rows)


def count_merged(pages: pa.Table, merged: Merged) -> pa.Table:
    """The rows of ``pages`` with their counts set right after a merge."""
    rows = pages.to_pylist()
    kept = Counter(count_sources(merged.rows))
    specs = Counter(merged.rows.group_by(["source", "hash"]).aggregate([])["source"].to_pylist())
    for page in rows:
        if page["stack"] is None:
            page["specs"] = specs[page["path"]]
            page["rejects"] += sum(count for (path, _), count in merged.lost.items() if path == page["path"])
        else:
            key = page["path"], page["stack"]
            page["specs"], page["repeated"] = kept[key], merged.repeated[key]
            page["rejects"] += merged.lost[key]
    return pa.Table.from_pylist(rows, schema=PAGE_SCHEMA)


def cut_groups(rows: pa.Table) -> Iterator[pa.Table]:
    """Sorted rows in the row groups of a Parquet file."""
    for start in range(0, max(rows.num_rows, 1), GROUP_ROWS):
        yield rows.slice(start, GROUP_ROWS)


def group_pages(pages: Iterable[Rows]) -> Iterator[list[Rows]]:
    """Cut pages into row groups: the same ones in however many batches they were read."""
    group: list[Rows] = []
    specs = 0
    for page in pages:
        group.append(page)
        specs += page.num_specs
        if specs >= GROUP_SPECS:
            yield group
            group, specs = [], 0
    if group:
        yield group


def reject_repeats(
    groups: Sequence[pa.Table], pages: pa.Table, snapshot: str
) -> tuple[list[pa.Table], pa.Table, pa.Table]:
    """Take the specs whose hash an earlier page of the snapshot gave out of ``groups``.

    Returns the groups that stay, the page rows with their counts set right, and the new rejects.
    """
    owners: dict[str, str] = {}
    lost: Counter[str] = Counter()
    kept, rejects = [], []
    for group in groups:
        keep = []
        for spec in group.to_pylist():
            owner = owners.setdefault(spec["hash"], spec["package"])
            keep.append(owner == spec["package"])
            if owner != spec["package"]:
                lost[spec["package"]] += 1
                rejects.append(
                    {
                        "path": spec["source"],
                        "place": f"spec_details[hash={spec['hash']}]",
                        "reason": f"the hash is already that of a spec of {owner}, in the same snapshot",
                        "raw": msgspec.json.encode(spec).decode(),
                        "specs": 1,
                        "snapshot": snapshot,
                        "package": spec["package"],
                    }
                )
        kept.append(group.filter(pa.array(keep, pa.bool_())))
    rows = pages.to_pylist()
    for page in rows:
        page["specs"] -= lost[page["package"]]
        page["rejects"] += lost[page["package"]]
    return kept, pa.Table.from_pylist(rows, schema=PAGE_SCHEMA), pa.Table.from_pylist(rejects, schema=REJECT_SCHEMA)


def add_stacks(specs: pa.Table) -> pa.Table:
    """A row per spec and stack, in the order of package, hash and stack, as specs and stacks come."""
    stacks = specs["stacks"].combine_chunks()
    rows = specs.drop_columns(["stacks"]).combine_chunks().take(pc.list_parent_indices(stacks))
    return rows.add_column(2, "stack", stacks.flatten())


def write_tables(path: Path, tables: Iterable[pa.Table], schema: pa.Schema) -> int:
    """Write ``tables`` as the row groups of one Parquet file; returns the number of rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    options = {"compression": "zstd", "use_dictionary": [name for name in schema.names if name not in DISTINCT]}
    # Row groups are sorted by package: of no other column do the bounds tell a reader what to pass over.
    with pq.ParquetWriter(path, schema, write_statistics=["package"], **options) as writer:
        for table in tables:
            # One chunk per column: page boundaries in the file follow chunks.
            writer.write_table(table.cast(schema).combine_chunks(), row_group_size=max(table.num_rows, 1))
            count += table.num_rows
    return count


def write_file_rejects(build: BuildPaths, seen: Iterable[Seen]) -> int:
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
    table = pa.Table.from_pylist(rows, schema=REJECT_SCHEMA)
    return write_tables(build.rejects(None), [table], REJECT_SCHEMA)
