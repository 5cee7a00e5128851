"""One build-cache index to frames: the counterpart of :mod:`pipeline.store.extract` for pages."""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec
import polars as pl

from pipeline.errors import Fault
from pipeline.layout import LONGEST_PARTITION, partition_name
from pipeline.sources.buildcache import V2_CHECKSUM
from pipeline.sources.files import Entry, Source, read_index_bytes, unpack
from pipeline.sources.kinds import HTML, is_html
from pipeline.sources.sizes import Sizes
from pipeline.specs.check import Reject, make_reject, normalise_compiler
from pipeline.specs.index import Index, Record
from pipeline.specs.node import ConcreteSpec
from pipeline.store.frames import complete_specs, make_frame, make_rows, spill
from pipeline.store.state import LOADED, Seen

CHUNK = 5_000
"""Records that are Python objects at a time."""


def extract_index(source: Source, entry: Entry, scratch: Path, batch: int) -> Seen:
    """Read an index and spill its rows; returns what the file is."""
    assert entry.index is not None
    gc.disable()
    try:
        return _extract(source, entry, scratch, batch)
    except Fault as fault:
        return Seen(entry, reject=make_reject(fault))
    finally:
        gc.enable()


def _extract(source: Source, entry: Entry, scratch: Path, batch: int) -> Seen:
    role = entry.index
    assert role is not None
    if role.fault:
        raise Fault("file", role.fault)
    if len(partition_name(role.snapshot)) > LONGEST_PARTITION:
        raise Fault("file", f"its snapshot's name is too long: {role.snapshot[:80]!r}…")
    data, sha256 = read_index_bytes(source.locate(entry))
    if is_html(data):
        raise Fault("file", HTML)
    unpacked = unpack(data)
    size = len(data)
    del data
    warning = ""
    said = role.checksum or role.stated
    # A server may have packed what the checksum is of.
    if said and said != sha256 and said != hashlib.sha256(unpacked).hexdigest():
        if role.checksum:
            raise Fault("file", f"is truncated or altered: its SHA-256 is {sha256}, the cache says {said}")
        # Spack writes the two one after the other, and itself loads such an index.
        warning = f"is not as the {V2_CHECKSUM} beside it says, and is loaded: its SHA-256 is {sha256}, not {said}"
    index = Index(unpacked)
    del unpacked
    sizes = Sizes(os.path.join(source.folder, role.sizes) if role.sizes else "")
    said_sizes = hashlib.sha256()
    num_specs = num_rejects = 0
    for part, chunk in enumerate(_chunks(index)):
        records = [one for one in chunk if isinstance(one, Record)]
        rejects = [one for one in chunk if isinstance(one, Reject)]
        specs = [record.spec for record in records if record.kind == "spec"]
        others = [record for record in records if record.kind != "spec"]
        of_specs = [sizes.find(spec.hash) for spec in specs] if role.sizes else None
        said_sizes.update(msgspec.json.encode(of_specs))
        spill(scratch, batch, "specs", make_specs(specs, entry.path, role.stack, of_specs), part=part)
        spill(scratch, batch, "rejects", make_rejects(rejects, entry), part=part)
        spill(scratch, batch, "records", make_records(others, entry.path, role.stack), part=part)
        # What externals and holes need counts, too: for what needs them.
        spill(scratch, batch, "dependencies", make_dependencies([one.spec for one in records]), part=part)
        num_specs += len(specs)
        num_rejects += len(rejects)
    spill(scratch, batch, "pages", make_page(entry, index, size, sha256, num_specs, num_rejects))
    warning = "; ".join(filter(None, (warning, sizes.warning)))
    return Seen(
        entry,
        sha256,
        role.snapshot,
        None,
        num_specs,
        num_rejects,
        records=len(index),
        warning=warning,
        database=index.version,
        sizes=said_sizes.hexdigest() if role.sizes else "",
    )


def _chunks(index: Index) -> Iterator[list[Record | Reject]]:
    records = index.read()
    while chunk := list(islice(records, CHUNK)):
        yield chunk


SAME = (
    *("package", "hash", "version", "os", "platform", "target", "variants", "patches", "namespace", "external"),
    "package_hash",
)
"""Columns of a spec that are as the index has them."""


def make_specs(
    specs: Sequence[ConcreteSpec], path: str, stack: str, sizes: Sequence[int | None] | None = None
) -> pl.DataFrame:
    """Specs as a frame of the kind ``specs``, all of one stack; ``sizes`` are theirs in bytes, where they are known."""
    columns = {
        **{name: [getattr(spec, name) for spec in specs] for name in SAME},
        "compiler_raw": [spec.compiler for spec in specs],
        "compilers": [
            None
            if spec.compilers is None
            else [(language, normalise_compiler(raw).compiler) for language, raw in spec.compilers.items()]
            for spec in specs
        ],
        "compiler_flags": [list(spec.compiler_flags.items()) for spec in specs],
        "spliced_from": [spec.build_spec for spec in specs],
        "source": [path] * len(specs),
        "stacks": [[stack]] * len(specs),
        "size_bytes": [None] * len(specs) if sizes is None else sizes,
    }
    return complete_specs(make_frame("specs", columns, 0))


OF_RECORD = (
    *("hash", "package", "version", "os", "platform", "target"),
    *("external_path", "external_modules", "namespace"),
)
"""Columns of an external or hole that are as the index has them."""


def make_records(records: Sequence[Record], path: str, stack: str) -> pl.DataFrame:
    """Externals and holes as a frame of the kind ``records``, all of one stack."""
    columns = {
        **{name: [getattr(record.spec, name) for record in records] for name in OF_RECORD},
        "kind": [record.kind for record in records],
        "compiler": [normalise_compiler(record.spec.compiler).compiler for record in records],
        "stack": [stack] * len(records),
        "source": [path] * len(records),
        "spliced_from": [record.spec.build_spec for record in records],
    }
    return make_frame("records", columns, 0)


def make_dependencies(specs: Sequence[ConcreteSpec]) -> pl.DataFrame:
    """The dependencies of specs, as a frame of the kind ``dependencies``."""
    edges = [(spec.hash, edge) for spec in specs for edge in spec.dependencies]
    columns = {
        "hash": [hash for hash, _ in edges],
        "dependency_hash": [edge.hash for _, edge in edges],
        "dependency": [edge.package for _, edge in edges],
        "deptypes": [edge.deptypes for _, edge in edges],
        "virtuals": [edge.virtuals for _, edge in edges],
    }
    return make_frame("dependencies", columns, 0)


def make_rejects(rejects: Sequence[Reject], entry: Entry) -> pl.DataFrame:
    """A frame of the kind ``rejects``."""
    assert entry.index is not None
    where = {"path": entry.path, "snapshot": entry.index.snapshot, "stack": entry.index.stack}
    return make_rows("rejects", [{**reject._asdict(), **where} for reject in rejects], [0] * len(rejects))


def make_page(entry: Entry, index: Index, size: int, sha256: str, specs: int, rejects: int) -> pl.DataFrame:
    """The one row of ``pages`` that an index gives."""
    assert entry.index is not None
    row = {
        "stack": entry.index.stack,
        "path": entry.path,
        "bytes": size,
        "sha256": sha256,
        "specs": specs,
        "rejects": rejects,
        "records": len(index),
        "externals": index.externals,
        "holes": index.holes,
        "repeated": 0,
        "unknown_keys": [],
        "state": LOADED,
        "meta": msgspec.json.encode({"version": index.version}).decode(),
    }
    return make_rows("pages", [row], [0])
