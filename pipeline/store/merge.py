"""Bring together what several indexes, or indexes and pages, say of one snapshot.

Each index gives the specs of one stack: a spec that stands in five stacks comes five times, and again
from the root mirror. It is one spec, by its hash; each of its rows keeps the stack and the source that
gave it, and takes the rest from one description.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.store.extract import REJECT_SCHEMA

OWN = ("hash", "stack", "source")
"""Columns that each row keeps; the others are taken from the spec's one description."""
IDENTITY = ("package", "version", "compiler", "os", "platform", "target")
"""Columns in which descriptions of one hash may not differ."""


class Merged(NamedTuple):
    """Rows of ``spec_stacks`` sorted by package, hash and stack, and the new rejects.

    ``repeated`` and ``lost`` count, by source and stack, the rows that another source gives too and the rejects.
    """

    rows: pa.Table
    rejects: pa.Table
    repeated: Counter[tuple[str, str]]
    lost: Counter[tuple[str, str]]


def merge_specs(rows: pa.Table, snapshot: str) -> Merged:
    """Make one spec of the rows of each hash, and one row of those of each hash and stack.

    Of several descriptions that of an index comes before that of a page, which tells less, and among
    indexes the first by stack and source. Rows that contradict it in what makes a spec become rejects.
    """
    # An index tells of every spec whether it is external; a page of none.
    rows = rows.append_column("rank", pc.cast(pc.is_null(rows["external"]), pa.int8()))
    rows = _sort(rows, ["hash", "rank", "stack", "source"])
    first = _find_first(rows, ["hash"])
    same = pa.chunked_array([pa.repeat(pa.scalar(True), rows.num_rows)])
    for name in IDENTITY:
        same = pc.and_(same, pc.equal(rows[name], rows[name].take(first)))
    contradicting = rows.filter(pc.invert(same))
    described = rows.drop_columns([*OWN, "rank"]).take(first)
    for name in OWN:
        described = described.append_column(name, rows[name])
    described = described.append_column("rank", rows["rank"]).filter(same)
    names = [name for name in rows.column_names if name != "rank"]
    del rows  # Of a large snapshot each copy counts.
    described = _sort(described, ["package", "hash", "stack", "rank", "source"])
    keep = _is_new(described, ["hash", "stack"])
    repeated = count_sources(described.filter(pc.invert(keep)))
    kept = described.filter(keep).select(names)
    return Merged(kept, make_rejects(contradicting, snapshot), repeated, count_sources(contradicting))


def count_sources(rows: pa.Table) -> Counter[tuple[str, str]]:
    """How many of the rows each source gives for each stack."""
    counted = rows.group_by(["source", "stack"]).aggregate([([], "count_all")]).to_pylist()
    return Counter({(row["source"], row["stack"]): row["count_all"] for row in counted})


def merge_dependencies(dependencies: pa.Table, hashes: pa.Array) -> pa.Table:
    """The dependencies of the specs in ``hashes``, each once, sorted by hash, package and hash of the dependency."""
    dependencies = dependencies.filter(pc.is_in(dependencies["hash"], value_set=hashes))
    dependencies = _sort(dependencies, ["hash", "dependency", "dependency_hash"])
    return dependencies.filter(_is_new(dependencies, ["hash", "dependency", "dependency_hash"]))


def _sort(rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    keys = [(name, "ascending") for name in columns]
    return rows.take(pc.sort_indices(rows.select(columns), sort_keys=keys)).combine_chunks()


def _is_new(rows: pa.Table, columns: Sequence[str]) -> pa.Array:
    """Whether each of the sorted rows differs from the one before it in any of ``columns``."""
    new = pa.repeat(pa.scalar(False), max(rows.num_rows - 1, 0))
    for name in columns:
        column = rows[name].combine_chunks()
        new = pc.or_(new, pc.not_equal(column.slice(1), column.slice(0, max(rows.num_rows - 1, 0))))
    return pa.concat_arrays([pa.repeat(pa.scalar(True), min(rows.num_rows, 1)), new])


def _find_first(rows: pa.Table, columns: Sequence[str]) -> pa.Array:
    """The index of the first of the sorted rows that is equal to each in ``columns``."""
    indices = pa.array(range(rows.num_rows), pa.int64())
    return pc.fill_null_forward(pc.if_else(_is_new(rows, columns), indices, None))


def make_rejects(rows: pa.Table, snapshot: str) -> pa.Table:
    """The rejects of rows that contradict the description of their spec."""
    rejects = [
        {
            "path": row["source"],
            "place": f"hash {row['hash']}",
            "reason": "the hash is already that of another spec in the same snapshot",
            "raw": str({name: row[name] for name in IDENTITY}),
            "specs": 1,
            "snapshot": snapshot,
            "package": row["package"],
            "stack": row["stack"],
        }
        for row in rows.to_pylist()
    ]
    return pa.Table.from_pylist(rejects, schema=REJECT_SCHEMA)
