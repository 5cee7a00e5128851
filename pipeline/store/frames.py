"""Frames of a build between reading and writing, and the scratch folder in which they wait for it.

A batch spills a file of each kind: ``specs``, ``pages``, ``rejects`` and, of indexes, ``dependencies``. A row knows
the number of its file in the batch, and so the writer of a snapshot takes the rows of the files that count,
whichever batches they came in. Memory grows with a batch and with a snapshot, and not with the corpus.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa

from pipeline.schema import DEPENDENCIES, PAGES_TABLE, REJECTS, SPEC_STACKS, arrow_schema
from pipeline.spack.compilers import compiler_family
from pipeline.spack.versions import version_key
from pipeline.specs.check import normalise_compiler
from pipeline.store.batches import FILES_OF_BATCH

FILE = "file"
"""The column that numbers a row's file in its batch."""

SPEC_STACKS_SCHEMA = arrow_schema(SPEC_STACKS, without=("snapshot",))
PAGE_SCHEMA = arrow_schema(PAGES_TABLE, without=("snapshot",))
REJECT_SCHEMA = arrow_schema(REJECTS)
DEPENDENCY_SCHEMA = arrow_schema(DEPENDENCIES, without=("snapshot",))

STACKS = pa.field("stacks", pa.list_(pa.string()), nullable=False)
SPEC_SCHEMA = arrow_schema(SPEC_STACKS, without=("snapshot", "stack")).append(STACKS)
"""A row per spec of a file: ``spec_stacks`` less the snapshot, its stacks still together."""
KINDS = {
    "specs": SPEC_SCHEMA,
    "pages": PAGE_SCHEMA,
    "rejects": REJECT_SCHEMA,
    "dependencies": DEPENDENCY_SCHEMA,
}


def make_frame(kind: str, columns: Mapping[str, object], file: Sequence[int] | int) -> pl.DataFrame:
    """A frame of one of :data:`KINDS` from columns of Python values; what is not given is NULL."""
    schema = KINDS[kind]
    length = next(len(values) for values in columns.values() if isinstance(values, Sequence | pa.Array))
    arrays = [
        pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(length, field.type)
        for field in schema
    ]
    frame = pl.DataFrame(pa.table(arrays, names=schema.names))
    numbers = pl.Series(FILE, file, pl.UInt16) if not isinstance(file, int) else pl.lit(file, pl.UInt16)
    return frame.with_columns(numbers.alias(FILE))


def make_rows(kind: str, rows: Sequence[Mapping[str, object]], files: Sequence[int]) -> pl.DataFrame:
    """A frame of one of :data:`KINDS` from rows of Python values; what a row does not give is NULL."""
    return make_frame(kind, {name: [row.get(name) for row in rows] for name in KINDS[kind].names}, files)


def to_table(frame: pl.DataFrame, schema: pa.Schema) -> pa.Table:
    """A frame as Arrow has it, with the types, NOT NULL and descriptions of ``schema``, a column in one piece."""
    return frame.select(schema.names).to_arrow().cast(schema).combine_chunks()


def describe_compilers(spelt: pl.Series) -> pl.DataFrame:
    """What follows from each distinct compiler as the source spelt it, a row each."""
    raws = spelt.unique().to_list()
    known = [normalise_compiler(raw) for raw in raws]
    return pl.DataFrame(
        {
            "compiler_raw": raws,
            "compiler": [one.compiler for one in known],
            "compiler_name": [one.name for one in known],
            "compiler_version": [one.version for one in known],
            "compiler_family": [compiler_family(one.name) for one in known],
        },
        schema=dict.fromkeys(
            ("compiler_raw", "compiler", "compiler_name", "compiler_version", "compiler_family"), pl.String
        ),
    )


def describe_versions(versions: pl.Series) -> pl.DataFrame:
    """The key of each distinct version, a row each."""
    known = versions.unique().to_list()
    return pl.DataFrame(
        {"version": known, "version_key": list(map(version_key, known))},
        schema={"version": pl.String, "version_key": pl.String},
    )


def derive_columns(specs: pl.DataFrame) -> pl.DataFrame:
    """``specs`` with the columns that follow from ``compiler_raw`` and ``version``."""
    compilers, versions = describe_compilers(specs["compiler_raw"]), describe_versions(specs["version"])
    return specs.join(compilers, on="compiler_raw", how="left", maintain_order="left").join(
        versions, on="version", how="left", maintain_order="left"
    )


def spill(scratch: Path, batch: int, kind: str, frame: pl.DataFrame, part: int = 0) -> None:
    """Write a frame of a batch to the scratch folder, to be mapped into memory later."""
    frame.write_ipc(scratch / f"{batch:06}.{kind}.{part:03}.arrow")


def read_spilled(scratch: Path, kind: str, places: Iterable[int]) -> pl.DataFrame:
    """The rows of the files in ``places``, with a column ``place``, in no order that means anything."""
    batches: dict[int, list[int]] = defaultdict(list)
    for place in places:
        batch, number = divmod(place, FILES_OF_BATCH)
        batches[batch].append(number)
    frames = [empty_frame(kind)]
    for batch, numbers in batches.items():
        wanted = pl.Series(numbers, dtype=pl.UInt16)
        for path in sorted(scratch.glob(f"{batch:06}.{kind}.*.arrow")):
            frame = pl.read_ipc(path).filter(pl.col(FILE).is_in(wanted.implode()))
            place_of = pl.col(FILE).cast(pl.Int64) + batch * FILES_OF_BATCH
            frames.append(frame.with_columns(place_of.alias("place")).drop(FILE))
    return pl.concat(frames)


def in_order(frame: pl.DataFrame, places: Sequence[int]) -> pl.DataFrame:
    """The rows of each file together, in the order of ``places``."""
    order = pl.DataFrame({"place": places}, schema={"place": pl.Int64})
    return order.join(frame, on="place", how="inner", maintain_order="left_right").drop("place")


def empty_frame(kind: str) -> pl.DataFrame:
    frame = pl.DataFrame(KINDS[kind].empty_table())
    return frame.with_columns(pl.lit(None, pl.Int64).alias("place")).clear()
