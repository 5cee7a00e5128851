"""Which Spack reads a build cache: by the version of the database that its index is, and by where that lies.

Spack skips an index whose database is newer than its own, and reads an older one in place; from 1.0 on it refuses those
of version 5 and older (``_REINDEX_NOT_NEEDED_ON_READ`` in ``lib/spack/spack/database.py``). Layout v3 is of 1.0, its
index views are of 1.2 (spack/spack#51213), and OCI mirrors of 0.21 (spack/spack#38358).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

V2, V3, VIEW, IMAGE = "v2", "v3", "view", "image"
"""Layouts by which Spack looks for an index; v2 stands for those before it, too, which have it at the same place."""
_OLDEST_BY_DATABASE = {"5": "0.13", "6": "0.17", "7": "0.21", "8": "1.0", "9": "1.3"}
_NEWEST_BY_DATABASE = {"5": "0.23"}
_OLDEST_BY_LAYOUT = {V3: "1.0", VIEW: "1.2", IMAGE: "0.21"}
_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})(?:\.\d{1,6})*")


class Readers(NamedTuple):
    """The oldest and the newest series of Spack, such as 0.22, that read something.

    ``oldest`` is None where neither is known; else ``newest`` is None where every later one reads it.
    """

    oldest: str | None = None
    newest: str | None = None

    def include(self, spack: str) -> bool | None:
        """Whether they include a version of Spack, such as 0.22 or 0.22.3; None where that is not known."""
        if self.oldest is None:
            return None
        version = parse_series(spack)
        return parse_series(self.oldest) <= version and (self.newest is None or version <= parse_series(self.newest))

    def __str__(self) -> str:
        if self.oldest is None:
            return "unknown"
        return f"{self.oldest} or newer" if self.newest is None else f"{self.oldest} to {self.newest}"


def parse_series(version: str) -> tuple[int, int]:
    """The series of a version of Spack: (0, 22) of 0.22 and of 0.22.3.

    Raises:
        ValueError: it is no version of Spack.
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        raise ValueError(f"{version!r} is no version of Spack, such as 0.22 or 1.1.0")
    return int(found[1]), int(found[2])


def find_readers(database: str, layout: str) -> Readers:
    """Who reads an index of a version of Spack's database in a layout."""
    oldest = _OLDEST_BY_DATABASE.get(database)
    if oldest is None:
        return Readers()
    of_layout = _OLDEST_BY_LAYOUT.get(layout, oldest)
    return Readers(max(oldest, of_layout, key=parse_series), _NEWEST_BY_DATABASE.get(database))


def join_readers(readers: Iterable[Readers]) -> Readers:
    """Who reads all of several; not known where it is not of one of them, or of none."""
    listed = list(readers)
    if not listed or any(one.oldest is None for one in listed):
        return Readers()
    oldest = max((one.oldest for one in listed if one.oldest), key=parse_series)
    newest = min((one.newest for one in listed if one.newest), key=parse_series, default=None)
    return Readers(oldest, newest)
