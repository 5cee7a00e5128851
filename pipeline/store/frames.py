"""Frames of a build between reading and writing, and the scratch folder in which they wait for it.

A batch spills a file of each kind: ``specs``, ``pages``, ``rejects`` and, of indexes, ``dependencies`` and
``records``. A row knows the number of its file in the batch, and so the writer of a snapshot takes the rows of the
files that count, whichever batches they came in. Memory grows with a batch and with a snapshot, and not with the
corpus.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa

from pipeline.schema import DEPENDENCIES, PAGES_TABLE, RECORDS, REJECTS, SPEC_STACKS, arrow_schema
from pipeline.spack.compilers import compiler_family
from pipeline.spack.versions import version_key
from pipeline.specs.check import normalise_compiler
from pipeline.store.state import FILES_OF_BATCH

FILE = "file"
"""The column that numbers a row's file in its batch."""
PLACE = "spilled_at"
"""The column that says which file of which batch a row is of."""

SPEC_STACKS_SCHEMA = arrow_schema(SPEC_STACKS, without=("snapshot",))
PAGE_SCHEMA = arrow_schema(PAGES_TABLE, without=("snapshot",))
REJECT_SCHEMA = arrow_schema(REJECTS)
DEPENDENCY_SCHEMA = arrow_schema(DEPENDENCIES, without=("snapshot",))
RECORD_SCHEMA = arrow_schema(RECORDS, without=("snapshot",))

STACKS = pa.field("stacks", pa.list_(pa.string()), nullable=False)
SPEC_SCHEMA = arrow_schema(SPEC_STACKS, without=("snapshot", "stack", "installable")).append(STACKS)
"""A row per spec of a file: ``spec_stacks`` less what the whole snapshot says, its stacks still together."""
KINDS = {
    "specs": SPEC_SCHEMA,
    "pages": PAGE_SCHEMA,
    "rejects": REJECT_SCHEMA,
    "dependencies": DEPENDENCY_SCHEMA,
    "records": RECORD_SCHEMA,
}


def make_frame(kind: str, columns: Mapping[str, object], file: Sequence[int] | int) -> pl.DataFrame:
    """A frame of one of :data:`KINDS` from columns of Python values; what is not given is NULL."""
    schema = KINDS[kind]
    length = next(len(values) for values in columns.values() if isinstance(values, Sequence | pa.Array))
    arrays = [
        pa.array(columns.get(field.name, [None] * length), field.type)
        if not isinstance(columns.get(field.name), pa.Array)
        else columns[field.name]
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


DERIVED = ("version_key", "compiler", "compiler_name", "compiler_version", "compiler_family")


def complete_specs(specs: pl.DataFrame) -> pl.DataFrame:
    """A frame of the kind ``specs``: ``DERIVED`` are computed, and missing columns are NULL, or false."""
    compilers, versions = describe_compilers(specs["compiler_raw"]), describe_versions(specs["version"])
    specs = (
        specs.drop(DERIVED, strict=False)
        .join(compilers, on="compiler_raw", how="left", maintain_order="left")
        .join(versions, on="version", how="left", maintain_order="left")
    )
    return complete("specs", specs)


def complete(kind: str, frame: pl.DataFrame) -> pl.DataFrame:
    """A frame of one of :data:`KINDS`: columns that it lacks are NULL, and a libc is not known."""
    empty = empty_frame(kind)
    missing = [
        pl.lit(False if name == "libc_known" else None, empty.schema[name]).alias(name)
        for name in KINDS[kind].names
        if name not in frame.columns
    ]
    return frame.with_columns(missing).select(*KINDS[kind].names, FILE)


def spill(scratch: Path, batch: int, kind: str, frame: pl.DataFrame, group: int = 0, part: int = 0) -> None:
    """Write a frame of a batch to the scratch folder.

    A ``group`` is the files of one snapshot in the batch; its rows of a kind may come in several parts.
    """
    if not frame.height:
        return
    table = frame.to_arrow(compat_level=pl.CompatLevel.newest())
    path = scratch / f"{batch:06}.{group:03}.{kind}.{part:03}.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def read_file(path: Path) -> pl.DataFrame:
    """A frame that :func:`spill` wrote, mapped into memory: Arrow's reader takes a fifth of the time of Polars'."""
    with pa.memory_map(str(path)) as file:
        return pl.DataFrame(pa.ipc.open_file(file).read_all())


class Spilled:
    """The rows that the files of a snapshot spilled; ``places`` are the files that count."""

    def __init__(self, scratch: Path, places: Sequence[int]) -> None:
        self._scratch = scratch
        self._places = places
        batches: dict[int, list[int]] = defaultdict(list)
        for place in places:
            batch, number = divmod(place, FILES_OF_BATCH)
            batches[batch].append(number)
        self._groups: list[tuple[str, int, list[int] | None]] = []
        pages = []
        for batch, numbers in batches.items():
            for path in sorted(scratch.glob(f"{batch:06}.*.pages.*.arrow")):
                frame = read_file(path)
                wanted = sorted(set(numbers).intersection(frame[FILE]))
                if wanted:
                    # Nearly always all files of a group count: no row need be looked at.
                    chosen = None if len(wanted) == frame.height else wanted
                    self._groups.append((path.name.partition(".pages.")[0], batch, chosen))
                    pages.append(_choose(frame, batch, chosen))
        self.pages = self._in_order(pages, "pages")
        """The rows of ``pages``, in the order of the places."""

    def read(self, kind: str) -> pl.DataFrame:
        """The rows of a kind, in no order that means anything."""
        return pl.concat([empty_frame(kind).drop(PLACE), *(frame.drop(PLACE) for frame in self._read(kind))])

    def read_in_order(self, kind: str) -> pl.DataFrame:
        """The rows of a kind, those of each file together, in the order of the places."""
        return self._in_order(self._read(kind), kind)

    def _read(self, kind: str) -> list[pl.DataFrame]:
        return [
            _choose(read_file(path), batch, wanted)
            for group, batch, wanted in self._groups
            for path in sorted(self._scratch.glob(f"{group}.{kind}.*.arrow"))
        ]

    def _in_order(self, frames: Sequence[pl.DataFrame], kind: str) -> pl.DataFrame:
        rows = pl.concat([empty_frame(kind), *frames])
        order = pl.DataFrame({PLACE: self._places}, schema={PLACE: pl.Int64})
        return order.join(rows, on=PLACE, how="inner", maintain_order="left_right").drop(PLACE)


def _choose(frame: pl.DataFrame, batch: int, files: list[int] | None) -> pl.DataFrame:
    """The rows of some files of a batch, of all where ``files`` is None, with their :data:`PLACE`."""
    rows = frame if files is None else frame.filter(pl.col(FILE).is_in(files))
    return rows.select(pl.exclude(FILE), **{PLACE: pl.col(FILE).cast(pl.Int64) + batch * FILES_OF_BATCH})


def empty_frame(kind: str) -> pl.DataFrame:
    return pl.DataFrame(KINDS[kind].empty_table()).with_columns(pl.lit(None, pl.Int64).alias(PLACE)).clear()
