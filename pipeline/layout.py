"""The paths of a warehouse and of a folder of reports, and the one way in which either is published.

::

    warehouse/
      spec_stacks -> .current/spec_stacks      what readers open: links that never change
      pages -> .current/pages
      dependencies -> .current/dependencies
      rejects -> .current/rejects
      warehouse.duckdb -> .current/warehouse.duckdb
      .current -> .builds/000007               the pointer: replaced by one atomic rename
      .builds/000006/, .builds/000007/         whole builds; the one before the newest is kept so
                                               that a reader in the middle of its Parquet can end
      .lock                                    held while a build runs
      .run.lock                                held while a scheduled run goes
      reports/                                 exported reports: a static site

All links are relative, so the folder can be moved or copied.
"""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import filelock
import msgspec

from pipeline.errors import WarehouseError

DATABASE = "warehouse.duckdb"
SPEC_STACKS = "spec_stacks"
PAGES = "pages"
DEPENDENCIES = "dependencies"
REJECTS = "rejects"
STATE = "state.msgpack"
PARQUET_FOLDERS = (SPEC_STACKS, PAGES, DEPENDENCIES, REJECTS)
PUBLISHED = (*PARQUET_FOLDERS, DATABASE)

CURRENT = ".current"
BUILDS = ".builds"
UNFINISHED = ".unfinished"


def find_cache() -> Path:
    """The folder for what is fetched, by the XDG Base Directory Specification."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "spack-warehouse"


@lru_cache
def partition_name(snapshot: str) -> str:
    """The Hive partition folder of a snapshot, its value percent-encoded as Hive and Arrow do.

    A name that would be too long for a file system is the caller's to refuse: see
    :data:`LONGEST_PARTITION`.
    """
    return "snapshot=" + quote(snapshot, safe="")


# File names end at 255 bytes on every common file system; rejects add ".parquet" to the name.
LONGEST_PARTITION = 240


@dataclass(frozen=True)
class BuildPaths:
    """The files of one build below ``.builds/``."""

    folder: Path

    @property
    def database(self) -> Path:
        return self.folder / DATABASE

    @property
    def state(self) -> Path:
        return self.folder / STATE

    def spec_stacks(self, snapshot: str) -> Path:
        return self.folder / SPEC_STACKS / partition_name(snapshot) / "spec_stacks.parquet"

    @property
    def scratch(self) -> Path:
        """What a build keeps only while it goes."""
        return self.folder / "scratch"

    def stored_specs(self, snapshot: str) -> Path:
        """A snapshot's specs at their own grain, for DuckDB to load."""
        return self.scratch / f"{partition_name(snapshot)}.parquet"

    def pages(self, snapshot: str) -> Path:
        return self.folder / PAGES / partition_name(snapshot) / "pages.parquet"

    def dependencies(self, snapshot: str) -> Path:
        """Dependencies of a snapshot's specs; no file where the sources tell of none."""
        return self.folder / DEPENDENCIES / partition_name(snapshot) / "dependencies.parquet"

    def rejects(self, snapshot: str | None) -> Path:
        """Rejects of a snapshot's pages; with None, of files whose snapshot is not known."""
        name = "files" if snapshot is None else partition_name(snapshot)
        return self.folder / REJECTS / f"{name}.parquet"

    def all_rejects(self) -> list[Path]:
        """Every file of rejects that is there."""
        return sorted((self.folder / REJECTS).glob("*.parquet"))


@dataclass(frozen=True)
class Layout:
    """The paths of a warehouse folder."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / DATABASE

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def lock(self) -> Path:
        return self.root / ".lock"

    @property
    def run_lock(self) -> Path:
        """Held while a run of a configuration goes, its reports included."""
        return self.root / ".run.lock"

    @property
    def builds(self) -> Path:
        return self.root / BUILDS

    @property
    def current(self) -> BuildPaths | None:
        """The published build, or None before the first."""
        pointer = self.root / CURRENT
        if not pointer.is_symlink() or not pointer.is_dir():
            return None
        return BuildPaths(self.builds / os.readlink(pointer).rsplit("/", 1)[-1])

    def refuse_foreign(self) -> None:
        """Make sure that a build would replace nothing but a warehouse, or a copy of one that followed its links.

        Raises:
            WarehouseError: something stands there that no build wrote.
        """
        for name in PUBLISHED:
            path = self.root / name
            if path.is_symlink() or not path.exists():
                continue
            written = path.is_dir() and all(
                child.name.startswith("snapshot=") or child.suffix == ".parquet" for child in path.iterdir()
            )
            if not written and not (name == DATABASE and self.builds.is_dir()):
                raise WarehouseError(f"{path}: is no part of a warehouse, and would be replaced; name another folder")

    def begin(self, builds: Path) -> BuildPaths:
        """An empty folder for a new build; what interrupted builds left is removed first.

        ``builds`` is :attr:`builds` by a path that every library can read.
        """
        self.builds.mkdir(parents=True, exist_ok=True)
        self.sweep()
        newest = max((int(folder.name) for folder in self._numbered()), default=0)
        folder = builds / f"{newest + 1:06}{UNFINISHED}"
        for name in PARQUET_FOLDERS:
            (folder / name).mkdir(parents=True)
        return BuildPaths(folder)

    def publish(self, build: BuildPaths) -> None:
        """Make ``build`` the warehouse that readers see, at once."""
        finished = build.folder.with_name(build.folder.name.removesuffix(UNFINISHED))
        _put(build.folder, finished)
        _replace_link(self.root / CURRENT, f"{BUILDS}/{finished.name}")
        for name in PUBLISHED:
            link, target = self.root / name, f"{CURRENT}/{name}"
            if not link.is_symlink() or os.readlink(link) != target:
                _replace_link(link, target)
        self.sweep()

    def sweep(self) -> None:
        """Remove unfinished builds and all whole ones but the published and the one before it."""
        current = self.current
        kept = set()
        if current is not None:
            before = [f for f in self._numbered() if f.name < current.folder.name]
            kept = {current.folder, *sorted(before)[-1:]}
        for folder in self.builds.iterdir() if self.builds.is_dir() else ():
            if folder not in kept:
                shutil.rmtree(folder)
        for name in (CURRENT, *PUBLISHED):
            _staged(self.root / name).unlink(missing_ok=True)

    def _numbered(self) -> list[Path]:
        if not self.builds.is_dir():
            return []
        return [folder for folder in self.builds.iterdir() if folder.name.isdigit()]


def _staged(path: Path) -> Path:
    """Where what is to take the place of ``path`` stands before."""
    return path.with_name(f".{path.name.lstrip('.')}.new")


def _replace_link(link: Path, target: str) -> None:
    """Point ``link`` at ``target`` by one rename, whatever stood there before."""
    new = _staged(link)
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    if link.is_dir() and not link.is_symlink():
        # A copy that followed the links left a folder here: a rename cannot replace it.
        shutil.rmtree(link)
    _put(new, link)


def _put(new: Path, place: Path) -> None:
    """Let a file, folder or link take its place by one rename: the one way in which anything is published.

    What it holds is on the disk before, and its name after, so that a power cut shows the old or the new, whole.
    """
    if not new.is_symlink():
        for path in (new, *new.rglob("*")):
            _sync(path)
    new.replace(place)
    # A folder that may be written to and not read cannot be flushed.
    with contextlib.suppress(PermissionError):
        _sync(place.parent)


def _sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def renew_file(path: Path, data: bytes) -> None:
    """Put ``data`` in a file's place at once; a file that holds just that is left alone."""
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = _staged(path)
    new.write_bytes(data)
    _put(new, path)


@contextlib.contextmanager
def hold_lock(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of the file ``path``; where another process has it, wait, after ``waiting`` was called once.

    The lock is the operating system's: it ends with its process, however that ends. The file stays.
    """
    lock = filelock.FileLock(path)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        waiting()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


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
                _put(new, folder)
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
