"""One build-cache index to Arrow tables: the counterpart of :mod:`pipeline.store.extract` for pages."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec
import pyarrow as pa

from pipeline.errors import Fault
from pipeline.layout import LONGEST_PARTITION, partition_name
from pipeline.schema import DEPENDENCIES, arrow_schema
from pipeline.sources.files import LARGEST_INDEX, Entry, Source, read_index_bytes
from pipeline.specs.check import Reject, normalise_compiler
from pipeline.specs.index import Index, IndexSpec
from pipeline.store.extract import (
    PAGE_SCHEMA,
    REJECT_SCHEMA,
    SPEC_SCHEMA,
    derive_columns,
    encode,
    make_lists,
    make_table,
    make_texts,
)
from pipeline.store.state import Rows, Seen

CHUNK = 5_000
"""Records that are Python objects at a time."""

DEPENDENCY_SCHEMA = arrow_schema(DEPENDENCIES, without=("snapshot",))
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def extract_index(source: Source, entry: Entry, scratch: Path, name: str) -> tuple[Seen, Rows | None]:
    """Read an index and spill its rows to ``scratch/name.*.arrow``.

    Returns what the file is, and where its rows stand, None where it cannot be loaded.
    """
    assert entry.index is not None
    gc.disable()
    try:
        return _extract(source, entry, scratch, name)
    except Fault as fault:
        return Seen(entry, reject=Reject(fault.place, fault.reason, fault.raw, fault.specs)), None
    finally:
        gc.enable()


def _extract(source: Source, entry: Entry, scratch: Path, name: str) -> tuple[Seen, Rows]:
    role = entry.index
    assert role is not None
    if role.fault:
        raise Fault("file", role.fault)
    if len(partition_name(role.snapshot)) > LONGEST_PARTITION:
        raise Fault("file", f"its snapshot's name is too long: {role.snapshot[:80]!r}…")
    data, sha256 = read_index_bytes(source.locate(entry))
    if role.checksum and sha256 != role.checksum:
        raise Fault("file", f"is truncated or altered: its SHA-256 is {sha256}, the cache says {role.checksum}")
    index = Index(unpack(data))
    size = len(data)
    del data
    counts = {"specs": 0, "rejects": 0, "dependencies": 0}
    with (
        Spill(scratch / f"{name}.specs.arrow", SPEC_SCHEMA) as specs,
        Spill(scratch / f"{name}.rejects.arrow", REJECT_SCHEMA) as rejects,
        Spill(scratch / f"{name}.dependencies.arrow", DEPENDENCY_SCHEMA) as dependencies,
    ):
        for chunk in _chunks(index):
            read = [one for one in chunk if isinstance(one, IndexSpec)]
            lost = [one for one in chunk if isinstance(one, Reject)]
            specs.write(make_specs(read, entry.path, role.stack))
            rejects.write(make_rejects(lost, entry))
            dependencies.write(make_dependencies(read))
            counts["specs"] += len(read)
            counts["rejects"] += len(lost)
            counts["dependencies"] += sum(len(one.dependencies) for one in read)
    with Spill(scratch / f"{name}.pages.arrow", PAGE_SCHEMA) as pages:
        pages.write(make_page(entry, index, size, sha256, counts["specs"], counts["rejects"]))
    seen = Seen(entry, sha256, role.snapshot, None, counts["specs"], counts["rejects"])
    rows = Rows(name, 0, 0, counts["specs"], 0, counts["rejects"], counts["dependencies"], is_index=True)
    return seen, rows


def unpack(data: bytes) -> bytes:
    """An index as JSON, from the packed form that it may lie in: gzip or zstd, known by its first bytes.

    Raises:
        Fault: it cannot be unpacked, or is larger than an index may be.
    """
    codec = next((codec for magic, codec in _MAGIC.items() if data.startswith(magic)), None)
    if codec is None:
        return data
    try:
        with pa.CompressedInputStream(pa.BufferReader(data), codec) as stream:
            unpacked: bytes = stream.read(LARGEST_INDEX + 1)
    except (OSError, pa.ArrowInvalid) as error:
        raise Fault("file", f"cannot be unpacked as {codec}: {error}") from None
    if len(unpacked) > LARGEST_INDEX:
        raise Fault("file", f"is larger than {LARGEST_INDEX // 2**20} MiB when unpacked")
    return unpacked


def _chunks(index: Index) -> Iterator[list[IndexSpec | Reject]]:
    records = index.read()
    while chunk := list(islice(records, CHUNK)):
        yield chunk


def make_specs(specs: Sequence[IndexSpec], path: str, stack: str) -> pa.Table:
    """Specs as a table of ``SPEC_SCHEMA``, all of one stack."""
    compilers = encode([spec.compiler for spec in specs])
    columns = {
        "package": make_texts(spec.package for spec in specs),
        "hash": make_texts(spec.hash for spec in specs),
        **derive_columns(compilers, encode([spec.version for spec in specs])),
        "compilers": make_maps([spec.compilers and name_compilers(spec.compilers) for spec in specs]),
        "os": make_texts(spec.os for spec in specs),
        "platform": make_texts(spec.platform for spec in specs),
        "target": make_texts(spec.target for spec in specs),
        "variants": make_lists([spec.variants for spec in specs]),
        "size_bytes": pa.nulls(len(specs), pa.int64()),
        "tarball_url": pa.nulls(len(specs), pa.string()),
        "patches": make_lists([spec.patches for spec in specs]),
        "compiler_flags": make_maps([spec.compiler_flags for spec in specs]),
        "namespace": pa.array([spec.namespace for spec in specs], pa.string()),
        "external": pa.array([spec.external for spec in specs], pa.bool_()),
        "source": pa.repeat(pa.scalar(path, pa.string()), len(specs)),
        "stacks": make_lists([[stack]] * len(specs)),
    }
    return make_table(columns, SPEC_SCHEMA)


def name_compilers(compilers: dict[str, str]) -> dict[str, str]:
    """Compilers by language, each in the warehouse's one spelling."""
    return {language: normalise_compiler(raw).compiler for language, raw in compilers.items()}


def make_maps(maps: Sequence[dict[str, str] | None]) -> pa.MapArray:
    """A map array of texts to texts."""
    return pa.array([None if one is None else list(one.items()) for one in maps], pa.map_(pa.string(), pa.string()))


def make_dependencies(specs: Sequence[IndexSpec]) -> pa.Table:
    """The dependencies of specs, as a table of ``DEPENDENCY_SCHEMA``."""
    edges = [(spec.hash, edge) for spec in specs for edge in spec.dependencies]
    columns = {
        "hash": make_texts(hash for hash, _ in edges),
        "dependency_hash": make_texts(edge.hash for _, edge in edges),
        "dependency": make_texts(edge.package for _, edge in edges),
        "deptypes": make_lists([edge.deptypes for _, edge in edges]),
        "virtuals": make_lists([edge.virtuals for _, edge in edges]),
    }
    return make_table(columns, DEPENDENCY_SCHEMA)


def make_rejects(rejects: Sequence[Reject], entry: Entry) -> pa.Table:
    assert entry.index is not None
    where = {"path": entry.path, "snapshot": entry.index.snapshot, "package": None, "stack": entry.index.stack}
    return pa.Table.from_pylist([{**reject._asdict(), **where} for reject in rejects], schema=REJECT_SCHEMA)


def make_page(entry: Entry, index: Index, size: int, sha256: str, specs: int, rejects: int) -> pa.Table:
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
        "meta": msgspec.json.encode({"version": index.version}).decode(),
    }
    return pa.Table.from_pylist([row], schema=PAGE_SCHEMA)


class Spill:
    """An Arrow file that tables are appended to, to be mapped into memory later."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._file = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._file, schema)

    def __enter__(self) -> Spill:
        return self

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table)

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._file.close()
