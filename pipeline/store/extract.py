"""Batches of files to Arrow tables: the part of a build that costs, spread over processes.

Each batch is read, parsed and checked on its own, and its rows are spilled to Arrow files in the
build's scratch folder, so that memory grows with a batch and not with the corpus. What comes back
is only what the build must know to bring the pages of a snapshot together: see :mod:`pipeline.store.parquet`.
"""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import Fault
from pipeline.layout import LONGEST_PARTITION, partition_name
from pipeline.schema import META_LISTS, PAGES_TABLE, REJECTS, SPEC_STACKS, arrow_schema
from pipeline.sources.files import Entry, Source, read_page_bytes
from pipeline.spack.compilers import compiler_family
from pipeline.spack.versions import version_key
from pipeline.specs.check import (
    Meta,
    Reject,
    Spec,
    decode_pages,
    make_records,
    normalise_compiler,
    read_meta,
    read_records,
    read_size,
)
from pipeline.specs.page import Page, parse_page
from pipeline.store.state import Rows, Seen

Held = TypeVar("Held")

STACKS = pa.field("stacks", pa.list_(pa.string()), nullable=False)
SPEC_SCHEMA = arrow_schema(SPEC_STACKS, without=("snapshot", "stack")).append(STACKS)
"""A row per spec of a batch: ``spec_stacks`` less the snapshot, its stacks still together."""
INDEX_COLUMNS = ("compilers", "patches", "compiler_flags", "namespace", "external")
"""Columns of a spec that indexes alone tell of."""
INDEX_COUNTS = ("stack", "records", "externals", "holes", "repeated")
"""Columns of a page's row that an index's alone has."""
PAGE_SUFFIX = ".md"
"""What a site's pages are named by: an empty file so named may have been one, any other is no page."""
PAGE_SCHEMA = arrow_schema(PAGES_TABLE, without=("snapshot",))
REJECT_SCHEMA = arrow_schema(REJECTS)


class _Page(msgspec.Struct, gc=False):
    """A page's rows before they become columns, and where they stand in the batch's tables.

    It is row ``at``; its ``num_specs`` specs begin at ``first_spec``, its rejects at ``first_reject``.
    """

    package: str
    snapshot: str
    path: str
    bytes: int
    sha256: str
    meta: str | None
    said: Meta
    front: Page
    rejects: list[Reject]
    unknown_keys: list[str]
    at: int = 0
    first_spec: int = 0
    num_specs: int = 0
    first_reject: int = 0
    fault: Fault | None = None


def extract_batch(
    sources: Sequence[Source], entries: Sequence[Entry], scratch: Path, name: str
) -> list[tuple[Seen, Rows | None]]:
    """Read a batch of files and spill its rows to ``scratch/name.*.arrow``.

    Returns, in the order of ``entries``, what each file is, and for a page where its rows stand.
    """
    # Many short-lived lists would set off the collector again and again; none is a cycle.
    gc.disable()
    try:
        outcomes = [read_page(sources[entry.source], entry) for entry in entries]
        # In the order in which they are written: neighbours are taken as one.
        pages = sorted((one for one in outcomes if isinstance(one, _Page)), key=lambda one: (one.snapshot, one.package))
        specs = read_specs(pages)
        pages = [page for page in pages if page.fault is None]
        first = 0
        for at, page in enumerate(pages):
            page.at, page.first_reject = at, first
            first += len(page.rejects)
        found = [describe(entry, one, name) for entry, one in zip(entries, outcomes, strict=True)]
        spill(scratch / f"{name}.specs.arrow", specs)
        spill(scratch / f"{name}.pages.arrow", make_pages(pages))
        spill(scratch / f"{name}.rejects.arrow", make_rejects(pages))
        return found
    finally:
        gc.enable()


def describe(entry: Entry, one: _Page | Fault | None, batch: str) -> tuple[Seen, Rows | None]:
    """What a file is, and for a page where its rows stand."""
    fault = one.fault if isinstance(one, _Page) else one
    if fault is not None:
        return Seen(entry, reject=Reject(fault.place, fault.reason, fault.raw, fault.specs)), None
    if not isinstance(one, _Page):
        return Seen(entry), None
    num_rejects = len(one.rejects)
    seen = Seen(entry, one.sha256, one.snapshot, one.package, one.num_specs, num_rejects)
    return seen, Rows(batch, one.at, one.first_spec, one.num_specs, one.first_reject, num_rejects)


def read_page(source: Source, entry: Entry) -> _Page | Fault | None:
    """The page in a file, its specs not yet read; the fault of one that cannot be loaded; None where it is no page."""
    try:
        data, sha256 = read_page_bytes(source.locate(entry))
        if data is None or (not data and not entry.path.endswith(PAGE_SUFFIX)):
            return None
        front = parse_page(data)
        if front is None:
            return None
        if len(partition_name(front.snapshot)) > LONGEST_PARTITION:
            raise Fault("categories[1]", f"is too long for a snapshot's name: {front.snapshot[:80]!r}…")
    except Fault as fault:
        return fault
    meta, said, rejects = read_meta(front)
    return _Page(front.package, front.snapshot, entry.path, len(data), sha256, meta, said, front, rejects, [])


def read_specs(pages: Sequence[_Page]) -> pa.Table:
    """The specs of ``pages`` as a table of :data:`SPEC_SCHEMA`; each page is told where its own stand, or its fault."""
    as_text = [(page, page.front.spec_details) for page in pages if isinstance(page.front.spec_details, bytes)]
    careful = [page for page in pages if not isinstance(page.front.spec_details, bytes)]
    tables: list[pa.Table] = []
    order: list[_Page] = []
    for numbers, records in decode_pages([details for _, details in as_text]):
        run = [as_text[number][0] for number in numbers]
        if records is None:
            careful += run
            continue
        for page, count in zip(run, records.counts, strict=True):
            page.num_specs = count
        tables.append(records.specs)
        order += run
    specs: list[Spec] = []
    for page in careful:
        try:
            found = read_records(page.front)
        except Fault as fault:
            page.fault = fault
            continue
        page.num_specs = len(found.specs)
        page.rejects = [*found.rejects, *page.rejects]
        page.unknown_keys = [f"{key}={count}" for key, count in sorted(found.unknown.items())]
        specs += found.specs
        order.append(page)
    first = 0
    for page in order:
        page.first_spec = first
        first += page.num_specs
    return make_specs(pa.concat_tables([*tables, make_records(specs)]).combine_chunks(), order)


def make_specs(records: pa.Table, pages: Sequence[_Page]) -> pa.Table:
    """The ``records`` of ``pages``, of :data:`RECORD_SCHEMA` and in their order, as a table of :data:`SPEC_SCHEMA`."""
    text = {name: only_chunk(records[name]) for name in records.column_names}
    counts = [page.num_specs for page in pages]
    sizes = text["size"].dictionary_encode()
    columns = {
        "package": repeat([page.package for page in pages], counts),
        "hash": text["hash"],
        # A spec has one version, so that all of their lists are the versions of all.
        **derive_columns(text["compiler"].dictionary_encode(), text["versions"].flatten().dictionary_encode()),
        "os": text["os"],
        "platform": text["platform"],
        "target": text["target"],
        "variants": text["variants"],
        "size_bytes": translate(sizes, [read_size(size) for size in sizes.dictionary.to_pylist()], pa.int64()),
        "tarball_url": text["tarball"],
        # What pages do not tell.
        **{name: pa.nulls(len(records), SPEC_SCHEMA.field(name).type) for name in INDEX_COLUMNS},
        "source": repeat([page.path for page in pages], counts),
        "stacks": text["stacks"],
    }
    return make_table(columns, SPEC_SCHEMA)


def only_chunk(column: pa.ChunkedArray) -> pa.Array:
    """A column that is in one piece, or empty, as an array."""
    return column.chunk(0) if column.num_chunks else pa.array([], column.type)


def make_table(columns: Mapping[str, pa.Array], schema: pa.Schema) -> pa.Table:
    """A table of ``schema`` from its columns in any order."""
    return pa.table([columns[name] for name in schema.names], schema=schema)


def derive_columns(compilers: pa.DictionaryArray, versions: pa.DictionaryArray) -> dict[str, pa.Array]:
    """The columns that follow from the compilers and versions as the source spelt them."""
    known = [normalise_compiler(raw) for raw in compilers.dictionary.to_pylist()]
    return {
        "version": versions.dictionary_decode(),
        "version_key": translate(versions, [version_key(version) for version in versions.dictionary.to_pylist()]),
        "compiler": translate(compilers, [one.compiler for one in known]),
        "compiler_name": translate(compilers, [one.name for one in known]),
        "compiler_version": translate(compilers, [one.version for one in known]),
        "compiler_family": translate(compilers, [compiler_family(one.name) for one in known]),
        "compiler_raw": compilers.dictionary_decode(),
    }


def encode(texts: list[str]) -> pa.DictionaryArray:
    """``texts`` by its distinct values, so that each is normalised once."""
    return pa.array(texts, pa.string()).dictionary_encode()


def translate(encoded: pa.DictionaryArray, values: Sequence[object], type: pa.DataType | None = None) -> pa.Array:
    """``encoded`` with ``values`` in place of its dictionary's."""
    return pa.array(values, type or pa.string()).take(encoded.indices)


def repeat(values: Sequence[str], counts: Sequence[int]) -> pa.Array:
    """Each value as often as its count says."""
    indices = chain.from_iterable([index] * count for index, count in enumerate(counts))
    return pa.array(values, pa.string()).take(pa.array(list(indices), pa.int32()))


def make_lists(lists: Sequence[list[str] | None]) -> pa.ListArray:
    """A list array; about twice as fast as Arrow's own conversion of nested lists."""
    present, mask = split_missing(lists, [])
    return pa.ListArray.from_arrays(make_offsets(present), make_texts(chain.from_iterable(present)), mask=mask)


def make_counts(counts: Sequence[dict[str, int] | None]) -> pa.MapArray:
    """A map array of texts to numbers."""
    present, mask = split_missing(counts, {})
    offsets = make_offsets(present)
    if mask is not None:
        # A map array has no mask of its own: a null offset says that a map is null.
        offsets = pc.if_else(pa.concat_arrays([mask, pa.array([False])]), None, offsets)
    values = pa.array([number for one in present for number in one.values()], pa.int64())
    return pa.MapArray.from_arrays(offsets, make_texts(chain.from_iterable(present)), values)


def split_missing(values: Sequence[Held | None], empty: Held) -> tuple[list[Held], pa.Array | None]:
    """``values`` with ``empty`` in place of None, and the mask of where that is; None where it is nowhere."""
    present = [empty if value is None else value for value in values]
    return present, pa.array([value is None for value in values]) if None in values else None


def make_offsets(values: Sequence[Collection[object]]) -> pa.Array:
    """Where each of ``values`` begins in the chain of all, and where the last ends."""
    lengths = pa.array(list(map(len, values)), pa.int32())
    return pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])


def make_texts(texts: Iterable[str]) -> pa.Array:
    return pa.array(list(texts), pa.string())


def make_pages(pages: Sequence[_Page]) -> pa.Table:
    """The page rows of ``pages``, as a table of :data:`PAGE_SCHEMA`."""
    columns = {
        "package": pa.array([page.package for page in pages], pa.string()),
        **{name: pa.nulls(len(pages), PAGE_SCHEMA.field(name).type) for name in INDEX_COUNTS},
        "path": pa.array([page.path for page in pages], pa.string()),
        "bytes": pa.array([page.bytes for page in pages], pa.int64()),
        "sha256": pa.array([page.sha256 for page in pages], pa.string()),
        "specs": pa.array([page.num_specs for page in pages], pa.int64()),
        "rejects": pa.array([len(page.rejects) for page in pages], pa.int64()),
        "unknown_keys": make_lists([page.unknown_keys for page in pages]),
        "meta": pa.array([page.meta for page in pages], pa.string()),
        "meta_num_specs": pa.array([page.said.num_specs for page in pages], pa.int64()),
        "meta_num_specs_by_stack": make_counts([page.said.num_specs_by_stack for page in pages]),
        **{f"meta_{name}": make_lists([getattr(page.said, name) for page in pages]) for name in META_LISTS},
    }
    return make_table(columns, PAGE_SCHEMA)


def make_rejects(pages: Sequence[_Page]) -> pa.Table:
    """The rejects inside ``pages``, as a table of :data:`REJECT_SCHEMA`."""
    rows = [
        {**reject._asdict(), "path": page.path, "snapshot": page.snapshot, "package": page.package}
        for page in pages
        for reject in page.rejects
    ]
    return pa.Table.from_pylist(rows, schema=REJECT_SCHEMA)


def spill(path: Path, table: pa.Table) -> None:
    """Write a table as one Arrow file of one record batch, to be mapped into memory later."""
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
