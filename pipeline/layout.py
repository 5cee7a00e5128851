"""The paths of a warehouse folder, and the one pointer that publishes a build.

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

import os
import shutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, unquote

from pipeline.errors import WarehouseError

DATABASE = "warehouse.duckdb"
SPEC_STACKS = "spec_stacks"
PAGES = "pages"
DEPENDENCIES = "dependencies"
REJECTS = "rejects"
STATE = "state.msgpack"
TABLES = (SPEC_STACKS, PAGES, DEPENDENCIES, REJECTS)
PUBLISHED = (*TABLES, DATABASE)

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


def partition_snapshot(name: str) -> str:
    """The snapshot of a partition folder; the inverse of :func:`partition_name`."""
    return unquote(name.removeprefix("snapshot="))


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

    def begin(self) -> BuildPaths:
        """An empty folder for a new build; what interrupted builds left is removed first."""
        self.builds.mkdir(parents=True, exist_ok=True)
        self.sweep()
        newest = max((int(folder.name) for folder in self._numbered()), default=0)
        folder = self.builds / f"{newest + 1:06}{UNFINISHED}"
        for name in TABLES:
            (folder / name).mkdir(parents=True)
        return BuildPaths(folder)

    def publish(self, build: BuildPaths) -> None:
        """Make ``build`` the warehouse that readers see, at once."""
        for path in build.folder.rglob("*"):
            if path.is_file():
                _sync(path)
        finished = build.folder.with_name(build.folder.name.removesuffix(UNFINISHED))
        build.folder.rename(finished)
        _sync(self.builds)
        _replace_link(self.root / CURRENT, f"{BUILDS}/{finished.name}")
        for name in PUBLISHED:
            link, target = self.root / name, f"{CURRENT}/{name}"
            if not link.is_symlink() or os.readlink(link) != target:
                _replace_link(link, target)
        _sync(self.root)
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
    new.replace(link)


def _sync(path: Path) -> None:
    """Flush a file or folder to the disk, so that a power cut cannot undo a published build."""
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
    new.replace(path)
