"""``releases.json``: a row for each build that was published, the newest last."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from pipeline.catalog.folder import PublishedFile
from pipeline.catalog.tables import TableFiles
from pipeline.report.folder import RELEASES


class Release(msgspec.Struct):
    """A build: the day on which its sources were read, files and bytes of its tables, their rows.

    ``sha256`` is that of the list of their files, each as ``SHA-256  PATH`` and a newline: the same tables, the same
    digest.
    """

    date: dt.date | None
    schema: int
    files: int
    bytes: int
    rows: int
    sha256: str


class _Releases(msgspec.Struct):
    releases: list[Release]


def describe_release(
    schema: int, files: TableFiles, published: Mapping[str, PublishedFile], date: dt.date | None
) -> Release:
    """The row of the tables that are published."""
    parts = [part for listed in files.values() for part in listed]
    paths = sorted(part.path for part in parts)
    listing = "".join(f"{published[path].sha256}  {path}\n" for path in paths)
    return Release(
        date,
        schema,
        len(paths),
        sum(published[path].bytes for path in paths),
        sum(part.rows for part in parts),
        hashlib.sha256(listing.encode()).hexdigest(),
    )


def add_release(out: Path, release: Release) -> bytes:
    """The file with a row more; a build whose tables are those of the last one is no other."""
    try:
        releases = msgspec.json.decode((out / RELEASES).read_bytes(), type=_Releases).releases
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        releases = []
    if not releases or releases[-1].sha256 != release.sha256:
        releases.append(release)
    rows = ",\n".join(f"  {msgspec.json.encode(one).decode()}" for one in releases)
    return f'{{"releases": [\n{rows}\n]}}\n'.encode()
