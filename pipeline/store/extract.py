"""Batches of pages to frames: the part of a build that costs, spread over processes.

Each batch is read, parsed and checked on its own, and its rows are spilled to the build's scratch folder. What
comes back is only what the build must know to bring the pages of a snapshot together: see
:mod:`pipeline.store.parquet`.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Sequence
from itertools import accumulate, chain, groupby, repeat
from pathlib import Path
from typing import NamedTuple

import msgspec
import polars as pl
import pyarrow as pa

from pipeline.errors import Fault
from pipeline.layout import LONGEST_PARTITION, partition_name
from pipeline.schema import META_LISTS, ROOT
from pipeline.sources.buildcache import Choice
from pipeline.sources.files import Entry, Source, read_page_bytes
from pipeline.sources.firstpages import PAGE_SUFFIX, has_later_page, name_first_pages, read_spec_bytes
from pipeline.specs.check import LONGEST_SPEC, Meta, Reject, Spec, make_reject, read_meta, read_records
from pipeline.specs.columns import decode_pages, make_records
from pipeline.specs.node import ConcreteSpec, read_spec_file
from pipeline.specs.page import Page, parse_page
from pipeline.store import extract_index
from pipeline.store.frames import FILE, complete_specs, make_frame, make_rows, spill
from pipeline.store.state import LOADED, Seen


class _Read(msgspec.Struct, gc=False):
    """What was read of a page before it becomes columns; ``number`` is that of its file in the batch.

    ``concrete`` are the specs of a page of 2021, which has its specs in files beside it.
    """

    number: int
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
    num_specs: int = 0
    reject: Reject | None = None
    concrete: Sequence[ConcreteSpec] = ()


class _Superseded(NamedTuple):
    """A page of 2021 beside a later page of its package, which counts."""

    sha256: str


def extract_batch(
    sources: Sequence[Source], entries: Sequence[Entry], scratch: Path, batch: int, choice: Choice
) -> list[Seen]:
    """Read a batch of files and spill its rows; returns what each file is, in the order of ``entries``."""
    # Many short-lived lists would set off the collector again and again; none is a cycle.
    gc.disable()
    try:
        outcomes = [read_page(sources[entry.source], entry, number, choice) for number, entry in enumerate(entries)]
        # In the order in which they are written.
        pages = sorted((one for one in outcomes if isinstance(one, _Read)), key=lambda one: (one.snapshot, one.package))
        specs = read_specs(pages)
        pages = [page for page in pages if page.reject is None]
        start = 0
        for group, (_, held) in enumerate(groupby(pages, key=lambda page: page.snapshot)):
            of_snapshot = list(held)
            length = sum(page.num_specs for page in of_snapshot)
            spill(scratch, batch, "specs", specs.slice(start, length), group)
            spill(scratch, batch, "pages", make_pages(of_snapshot), group)
            spill(scratch, batch, "rejects", make_rejects(of_snapshot), group)
            start += length
        return [describe(entry, one) for entry, one in zip(entries, outcomes, strict=True)]
    finally:
        gc.enable()


def describe(entry: Entry, one: _Read | _Superseded | Reject | None) -> Seen:
    """What a file is."""
    if isinstance(one, _Superseded):
        return Seen(entry, one.sha256)
    reject = one.reject if isinstance(one, _Read) else one
    if reject is not None:
        return Seen(entry, reject=reject)
    if not isinstance(one, _Read):
        return Seen(entry)
    records = one.num_specs + len(one.rejects)
    return Seen(entry, one.sha256, one.snapshot, one.package, one.num_specs, len(one.rejects), records=records)


def read_page(source: Source, entry: Entry, number: int, choice: Choice) -> _Read | _Superseded | Reject | None:
    """The page in a file, its specs not yet read; the reject of one that cannot be loaded; None where it is no page."""
    try:
        data, sha256 = read_page_bytes(source.locate(entry))
        if data is None or (not data and not entry.path.endswith(PAGE_SUFFIX)):
            return None
        front = parse_page(data, name_first_pages(source, choice))
        if front is None:
            return None
        if len(partition_name(front.snapshot)) > LONGEST_PARTITION:
            raise Fault("categories[1]", f"is too long for a snapshot's name: {front.snapshot[:80]!r}…")
    except Fault as fault:
        return make_reject(fault)
    meta, said, rejects = read_meta(front)
    page = _Read(number, front.package, front.snapshot, entry.path, len(data), sha256, meta, said, front, rejects, [])
    return page if front.spec_files is None else read_first_page(page, source.locate(entry), data)


def read_first_page(page: _Read, path: str, data: bytes) -> _Read | _Superseded:
    """A page of 2021, whose bytes are ``data``, with the specs in the files beside it.

    Its SHA-256 is of all these files, with their names: it is that of no page alone, whose spec files may change.
    """
    digest = hashlib.sha256(data + b"\0")
    if has_later_page(path):
        return _Superseded(digest.hexdigest())
    specs: dict[str, ConcreteSpec] = {}
    files: dict[str, str] = {}
    rejects: list[Reject] = []
    for number, name in enumerate(page.front.spec_files or ()):
        raw = b""
        try:
            raw = read_spec_bytes(path, name)
            spec = read_spec_file(raw)[0]
            if spec.package != page.package:
                raise Fault("spec.nodes[0].name", f"is {spec.package!r}, and the page's is {page.package!r}")
            if spec.hash in specs:
                raise Fault("spec.nodes[0].hash", f"{spec.hash} stands already in {files[spec.hash]}")
            # As the page's own text and its meta spell it.
            specs[spec.hash] = spec._replace(compiler=spec.compiler.replace("@=", "@"))
            files[spec.hash] = name
        except Fault as fault:
            place = f"spec_files[{number}]"
            reason = f"{name}: {fault.place}: {fault.reason}" if fault.place else fault.reason
            rejects.append(Reject(place, reason, raw[:LONGEST_SPEC].decode("utf-8", "replace") or None, 1))
        digest.update(name.encode() + b"\0" + raw)
        page.bytes += len(raw)
    page.sha256 = digest.hexdigest()
    page.concrete = [specs[hash] for hash in sorted(specs)]
    page.num_specs = len(specs)
    page.rejects = [*rejects, *page.rejects]
    return page


def read_specs(pages: Sequence[_Read]) -> pl.DataFrame:
    """The specs of ``pages`` as a frame of the kind ``specs``; each page gets its number of specs, or its reject."""
    as_text = [page for page in pages if isinstance(page.front.spec_details, bytes)]
    decoded, amiss = decode_pages([page.front.spec_details for page in as_text])  # type: ignore[misc]
    position = {page.number: at for at, page in enumerate(pages)}
    places = pl.Series([position[page.number] for page in as_text], dtype=pl.UInt32)
    frames = [decoded.with_columns(page=places.gather(decoded["page"]))]
    for page, count in zip(as_text, count_rows(decoded["page"], len(as_text)), strict=True):
        page.num_specs = count
    careful = [as_text[at] for at in amiss]
    first = [page for page in pages if page.front.spec_files is not None]
    others = (page for page in pages if page.front.spec_files is None)
    careful += [page for page in others if not isinstance(page.front.spec_details, bytes)]
    if careful:
        found = [read_carefully(page) for page in careful]
        owners = chain.from_iterable(repeat(position[page.number], page.num_specs) for page in careful)
        frames.append(make_records(chain.from_iterable(found), list(owners)))
    records = pl.concat(frames)
    if careful:
        records = records.sort("page", "hash")
    specs = make_specs(records, pages)
    if first:
        specs = pl.concat([specs, *map(make_first_specs, first)])
        specs = specs.sort(pl.col(FILE).replace_strict(position, return_dtype=pl.UInt32), "hash")
    return specs


def count_rows(numbers: pl.Series, length: int) -> list[int]:
    """How often each number from 0 on stands among ``numbers``."""
    found = dict(numbers.value_counts().iter_rows())
    return [found.get(number, 0) for number in range(length)]


def read_carefully(page: _Read) -> list[Spec]:
    """The specs of a page, record by record; its rejects and unknown keys, or its own reject, are noted in it."""
    try:
        found = read_records(page.front)
    except Fault as fault:
        page.reject = make_reject(fault)
        return []
    page.num_specs = len(found.specs)
    page.rejects = [*found.rejects, *page.rejects]
    page.unknown_keys = [f"{key}={count}" for key, count in sorted(found.unknown.items())]
    return found.specs


def make_specs(records: pl.DataFrame, pages: Sequence[_Read]) -> pl.DataFrame:
    """The ``records`` of ``pages`` as a frame of the kind ``specs``: what pages do not have is NULL."""
    of_page = pl.DataFrame(
        {
            "package": [page.package for page in pages],
            "source": [page.path for page in pages],
            FILE: [page.number for page in pages],
        },
        schema={"package": pl.String, "source": pl.String, FILE: pl.UInt16},
    )
    size = pl.col("size")
    specs = records.with_columns(
        *of_page[records["page"]],
        # A spec has one version.
        version=pl.col("versions").list.first(),
        size_bytes=pl.when(size != "-").then(size).cast(pl.Int64),
    ).rename({"compiler": "compiler_raw", "tarball": "tarball_url"})
    return complete_specs(specs)


def make_first_specs(page: _Read) -> pl.DataFrame:
    """The specs of a page of 2021, of the one mirror there was, as a frame of the kind ``specs``.

    As of any page nothing says whether a spec is external: what is listed is a binary.
    """
    specs = extract_index.make_specs(page.concrete, page.path, ROOT)
    of_pages = {"external": pl.lit(None, pl.Boolean), "libc_known": pl.lit(False)}
    return specs.with_columns(**of_pages, **{FILE: pl.lit(page.number, pl.UInt16)})


def make_pages(pages: Sequence[_Read]) -> pl.DataFrame:
    """A frame of the kind ``pages``."""
    columns = {
        **{name: [getattr(page, name) for page in pages] for name in ("package", "path", "bytes", "sha256", "meta")},
        "specs": [page.num_specs for page in pages],
        "rejects": [len(page.rejects) for page in pages],
        "unknown_keys": [page.unknown_keys for page in pages],
        "state": [LOADED] * len(pages),
        "meta_num_specs": [page.said.num_specs for page in pages],
        "meta_num_specs_by_stack": make_counts([page.said.num_specs_by_stack for page in pages]),
        **{f"meta_{name}": [getattr(page.said, name) for page in pages] for name in META_LISTS},
    }
    return make_frame("pages", columns, [page.number for page in pages])


def make_counts(counts: Sequence[dict[str, int] | None]) -> pa.MapArray:
    """Maps of texts to numbers; ten times as fast as Arrow's own conversion."""
    ends = accumulate((len(one) if one else 0 for one in counts), initial=0)
    # A map is NULL where its offset is.
    offsets = [None if one is None else end for one, end in zip([*counts, {}], ends, strict=True)]
    held = [one for one in counts if one]
    return pa.MapArray.from_arrays(
        pa.array(offsets, pa.int32()),
        pa.array(list(chain.from_iterable(held)), pa.string()),
        pa.array([count for one in held for count in one.values()], pa.int64()),
    )


def make_rejects(pages: Sequence[_Read]) -> pl.DataFrame:
    """The rejects inside ``pages``, as a frame of the kind ``rejects``."""
    found = [(page, reject) for page in pages for reject in page.rejects]
    rows = [
        {**reject._asdict(), "path": page.path, "snapshot": page.snapshot, "package": page.package}
        for page, reject in found
    ]
    return make_rows("rejects", rows, [page.number for page, _ in found])
