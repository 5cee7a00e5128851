"""Of what the reports of each snapshot were made, so that an export makes again only what would change.

A hidden file of the warehouse has, by folder of reports and snapshot, a digest of all that they depend on: the
published files of the warehouse, the program with what it shows pages with, whether they lie in a site, and the
formats; and of the index that was written. Reports of the same inputs stay where their index is that one, and every
byte of them is as it says: another warehouse, or an export that was interrupted, may have put others there.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pipeline.io.disk import renew_file, sweep_staged
from pipeline.layout import DATABASE, BuildPaths, Layout
from pipeline.report.folder import INDEX, ReportFolder, read_index
from pipeline.sources.buildcache import ALL
from pipeline.store.state import fingerprint, read_state


class Inputs:
    """The inputs of the reports in the folder ``root``; those of now are of the warehouse ``layout``."""

    def __init__(self, layout: Layout, root: Path) -> None:
        # JSON has no names that are no UTF-8; so written, each byte is a character.
        self._path, self._root = layout.exports, os.fsencode(root.resolve()).decode("latin-1")
        self._warehouse, self._in_site = digest_warehouse(layout), ReportFolder(root).is_site
        self._exports: dict[str, dict[str, str]] = {}
        with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
            self._exports = msgspec.json.decode(self._path.read_bytes(), type=dict[str, dict[str, str]])
        self._known = self._exports.setdefault(self._root, {})

    def find_same(self, folder: Path, snapshot: str, formats: Sequence[str]) -> dict[str, Any] | None:
        """The index of a snapshot's ``folder`` if its reports would be the same; else None."""
        index = None if self._warehouse is None else read_index(folder)
        if index is None or self._known.get(snapshot) != self._digest(folder, formats):
            return None
        return index if index["snapshot"] == snapshot and _is_whole(folder, index) else None

    def note(self, folder: Path, snapshot: str, formats: Sequence[str]) -> None:
        """That a snapshot's reports, just written to its ``folder``, are of the inputs of now."""
        self._known[snapshot] = self._digest(folder, formats)

    def save(self) -> None:
        """Note it in the warehouse; where that may not be written, the next export makes everything again."""
        if self._warehouse is not None:
            sweep_staged(self._path)
            with contextlib.suppress(OSError):
                renew_file(self._path, msgspec.json.encode(self._exports, order="sorted"))

    def _digest(self, folder: Path, formats: Sequence[str]) -> str:
        inputs = f"{self._warehouse} {self._in_site} {sorted(formats)}\0".encode()
        return hashlib.sha256(inputs + (folder / INDEX).read_bytes()).hexdigest()


@functools.cache
def digest_program() -> str:
    """A digest of the program, of what it shows pages with, and of the libraries that write them."""
    digest = hashlib.sha256(fingerprint(ALL).encode())
    for name in ("jinja2", "xlsxwriter"):
        digest.update(f"{name}={importlib.metadata.version(name)};".encode())
    package = Path(__file__).parents[1]
    for path in sorted(package.glob("*/assets/**/*")):
        if path.is_file():
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def digest_warehouse(layout: Layout) -> str | None:
    """A digest of a warehouse's published files and of the program; None of a copy without its build's state.

    The DuckDB file does not count: it is made of the others, and two builds of the same rows give other bytes.
    """
    state = read_state(layout.current or BuildPaths(layout.database.resolve().parent))
    if state is None:
        return None
    files = {path: digest for path, digest in state.files.items() if path != DATABASE}
    return hashlib.sha256(f"{digest_program()} {sorted(files.items())}".encode()).hexdigest()


def _is_whole(folder: Path, index: dict[str, Any]) -> bool:
    """Whether the files of a snapshot's folder are those of its index, to the byte."""
    try:
        for one in index["reports"]:
            with (folder / one["path"]).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != one["sha256"]:
                    return False
    except OSError:
        return False
    return True
