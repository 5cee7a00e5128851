"""A folder of reports: a folder for each snapshot, replaced as a whole, and never what is somebody else's.

::

    reports/
      index.json, index.html     what all snapshots' folders hold
      develop/                   the reports of a snapshot; its own index.json names each file
      .spack-warehouse/          what is being written or replaced, and while that goes
      .spack-warehouse.lock      the lock
"""

from __future__ import annotations

import contextlib
import filecmp
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from pipeline.errors import WarehouseError
from pipeline.layout import renew_file
from pipeline.locks import hold_lock

INDEX = "index.json"
SITE = "index.html"
STAGING = ".spack-warehouse"
LOCK = ".spack-warehouse.lock"


class _File(msgspec.Struct):
    """What every entry of a snapshot's ``index.json`` tells; some tell more."""

    report: str
    format: str
    path: str
    bytes: int
    sha256: str


class _Index(msgspec.Struct):
    snapshot: str
    reports: list[_File]


class _Indexes(msgspec.Struct):
    snapshots: list[object]


def folder_name(snapshot: str) -> str:
    """The name of a snapshot's folder, percent-encoded.

    A name that begins with a dot would be hidden or lead out of the reports, and two are the site's own.
    """
    name = quote(snapshot, safe="")
    return name.replace(".", "%2E") if name.startswith(".") or name in (INDEX, SITE) else name


@dataclass(frozen=True)
class ReportFolder:
    """The folder ``root``, which need not be there yet."""

    root: Path

    def folder(self, snapshot: str) -> Path:
        return self.root / folder_name(snapshot)

    def read_indexes(self) -> list[tuple[Path, dict[str, Any]]]:
        """The folders that hold a snapshot's reports, each with its index, in the order of their names."""
        found = []
        for folder in sorted(self.root.iterdir()) if self.root.is_dir() else ():
            index = read_index(folder)
            if index is not None and folder.name == folder_name(index["snapshot"]):
                found.append((folder, index))
        return found

    @contextlib.contextmanager
    def hold(self, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold the folder for one export; what one that was killed had left is mended first."""
        self.root.mkdir(parents=True, exist_ok=True)
        lock = self.root / LOCK
        with hold_lock(lock, waiting):
            self._sweep()
            try:
                yield
            finally:
                # A site shows what is here. Whoever waits sees that this lock is of no file, and makes it anew.
                lock.unlink(missing_ok=True)

    def refuse_foreign(self, snapshots: Iterable[str]) -> None:
        """Make sure that the reports of ``snapshots`` would replace nothing but reports.

        Raises:
            WarehouseError: something stands there that was not written here.
        """
        index = self.root / INDEX
        foreign = [index] if index.exists() and _decode(index, _Indexes) is None else []
        foreign += [path for name in snapshots if (path := find_foreign(self.folder(name), name)) is not None]
        if foreign:
            raise WarehouseError(f"{foreign[0]}: is no report, and would be replaced; move it away, or write elsewhere")

    @contextlib.contextmanager
    def replace(self, snapshot: str) -> Iterator[Path]:
        """An empty folder to fill: it takes the place of the snapshot's own, where they do not hold the same.

        A file that cannot be written is named as that of the snapshot's folder.
        """
        folder, new, old = self.folder(snapshot), self.root / STAGING / "new", self.root / STAGING / "old"
        new.mkdir(parents=True)
        try:
            yield new
            if not _hold_same(new, folder):
                old.mkdir()
                with contextlib.suppress(FileNotFoundError):
                    folder.rename(old / folder.name)
                new.rename(folder)
        except OSError as error:
            if error.filename is None:
                error.filename = str(folder)
            raise
        finally:
            self._sweep()

    def remove(self, folder: Path) -> None:
        """Remove a snapshot's reports; a file that is none stays, and its folder with it."""
        for name in list_own(folder):
            (folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()

    def write_index(self, index: object) -> None:
        renew_file(self.root / INDEX, encode(index))

    def _sweep(self) -> None:
        """Put back what was taken away for something that never came, and give up the rest."""
        old = self.root / STAGING / "old"
        for folder in old.iterdir() if old.is_dir() else ():
            if not (self.root / folder.name).exists():
                folder.rename(self.root / folder.name)
        shutil.rmtree(self.root / STAGING, ignore_errors=True)


def read_index(folder: Path) -> dict[str, Any] | None:
    """The ``index.json`` of a snapshot's folder; None where there is none that was written here."""
    return _decode(folder / INDEX, _Index)


def list_own(folder: Path) -> list[str]:
    """The files of a snapshot's folder that were written here, the index last."""
    index = read_index(folder)
    return [*(one["path"] for one in index["reports"]), INDEX] if index else []


def find_foreign(folder: Path, snapshot: str) -> Path | None:
    """What in the place of a snapshot's folder was not written here; hidden files are nobody's."""
    if not folder.is_dir():
        return folder if folder.exists() else None
    index = read_index(folder)
    own = list_own(folder) if index is not None and index["snapshot"] == snapshot else []
    return min((path for path in folder.iterdir() if path.name not in own and path.name[0] != "."), default=None)


def encode(value: object) -> bytes:
    """JSON to read."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _decode(path: Path, type: type[msgspec.Struct]) -> dict[str, Any] | None:
    """A JSON file as it is, or None where it is not of ``type``."""
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = msgspec.json.decode(path.read_bytes())
        decoded = msgspec.convert(found, type)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    # A path of more than a name would lead elsewhere.
    if isinstance(decoded, _Index) and any(Path(one.path).name != one.path for one in decoded.reports):
        return None
    return found


def _hold_same(first: Path, second: Path) -> bool:
    """Whether two flat folders hold the same files."""
    if not second.is_dir():
        return False
    names = sorted(path.name for path in first.iterdir())
    if names != sorted(path.name for path in second.iterdir()):
        return False
    return not any(filecmp.cmpfiles(first, second, names, shallow=False)[1:])
