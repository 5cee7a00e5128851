"""What a published build holds: its parts, and what each source gave, as its Parquet files say it.

They may be of this version or an older one, of a copy that followed the links of a warehouse, and damaged.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from pipeline.layout import BuildPaths, Layout, PublishedPaths
from pipeline.sources.files import Source
from pipeline.store.state import KEEP, Part, Place, SourceRow


@dataclass(frozen=True)
class Held:
    """What a published build holds: its parts, its rows of ``sources``, whether it keeps snapshots.

    ``looked_on`` is the day of the last build that looked at its sources, None where that is not known. Of snapshots
    whose file is ``damaged`` nothing is known.
    """

    build: BuildPaths
    parts: Sequence[Part] = ()
    rows: Sequence[SourceRow] = ()
    keep: bool = False
    looked_on: dt.date | None = None
    damaged: Sequence[str] = ()


NOTHING_HELD = Held(BuildPaths(Path()))
"""What there is before the first build."""


def read_held(build: BuildPaths, looked_on: dt.date | None = None) -> Held:
    """What a published build, of this version or an older one, holds; its Parquet files may be damaged."""
    import pyarrow as pa

    build = PublishedPaths(build.folder)
    parts: list[Part] = []
    damaged: list[str] = []
    for snapshot in build.list_snapshots():
        try:
            parts += read_parts(build, snapshot)
        except (OSError, pa.ArrowException):
            damaged.append(snapshot)
    rows, keep = read_sources(build)
    return Held(build, parts, rows, keep, looked_on, damaged)


def read_parts(build: BuildPaths, snapshot: str) -> list[Part]:
    """The parts of a snapshot of a published build, from the Parquet file of ``pages``.

    An older version may have published several indexes of one stack by one path. Their rows cannot be separated,
    and so they are one part.

    Raises:
        OSError, pyarrow.ArrowException: it cannot be read.
    """
    import pyarrow.parquet as pq

    file = pq.ParquetFile(build.pages(snapshot))
    wanted = (*Part.__struct_fields__, "rejects", "repeated")
    parts: dict[tuple[Place, str], Part] = {}
    # Of a file by an older version some are missing.
    for row in file.read([name for name in wanted if name in file.schema_arrow.names]).to_pylist():
        rejects, repeated = row.pop("rejects"), row.pop("repeated") or 0
        row["records"] = row["specs"] + rejects if row["records"] is None else row["records"]
        row["specs"] += repeated
        part = Part(snapshot=snapshot, **row)
        parts.setdefault(part.key, part)
    return list(parts.values())


def read_sources(build: BuildPaths) -> tuple[list[SourceRow], bool]:
    """The rows of ``sources`` that a build published, and whether it keeps snapshots.

    Where its file is damaged there are no rows, and snapshots are kept: whether they were is not known.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not build.sources.exists():
        return [], False
    try:
        table = pq.ParquetFile(build.sources).read()
    except (OSError, pa.ArrowException):
        return [], True
    keep: bool = (table.schema.metadata or {}).get(KEEP) == b"true"
    return [SourceRow(**row) for row in table.to_pylist()], keep


def open_archive(source: Source) -> Held:
    """What a source holds that is a warehouse, or has its Parquet folders."""
    layout = Layout(Path(source.folder))
    return read_held(layout.current or BuildPaths(layout.root))


def rename_sources(held: Held, names: Sequence[str]) -> Held:
    """What is held, its sources by the names that they have today, however their paths are spelt."""
    today = {_identify(name): name for name in names}
    rows = [
        row if row.source is None else msgspec.structs.replace(row, source=today.get(_identify(row.source), row.source))
        for row in held.rows
    ]
    return replace(held, rows=rows)


def _identify(name: str) -> str:
    return name.rstrip("/") if "://" in name else os.path.realpath(name)


def list_rejects(layout: Layout, most: int) -> list[tuple[str, str, str]]:
    """(path, place, reason) of the first rejects of a published build, ``most`` at the most, in text order.

    They come from the Parquet, since a build may have no DuckDB file.

    Raises:
        OSError, pyarrow.ArrowException: it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    held = layout.held
    names = ["path", "place", "reason"]
    tables = [pq.ParquetFile(file).read(names) for file in (held.all_rejects() if held else [])]
    if not tables:
        return []
    rejects = pa.concat_tables(tables).sort_by([(name, "ascending") for name in names]).slice(0, most)
    return [(row["path"], row["place"], row["reason"]) for row in rejects.to_pylist()]
