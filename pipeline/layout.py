"""The paths of a warehouse, and how a build of it is published.

::

    warehouse/
      spec_stacks -> .current/spec_stacks      what readers open: links that never change
      pages -> .current/pages
      dependencies -> .current/dependencies
      records -> .current/records
      rejects -> .current/rejects
      sources -> .current/sources
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
import re
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, unquote

from pipeline.errors import WarehouseError
from pipeline.io.disk import (
    put,
    refuse_planted,
    remove,
    replace_link,
    sweep_staged,
)

DATABASE = "warehouse.duckdb"
SPEC_STACKS = "spec_stacks"
PAGES = "pages"
DEPENDENCIES = "dependencies"
RECORDS = "records"
REJECTS = "rejects"
STATE = "state.msgpack"
SOURCES = "sources"
PARQUET_FOLDERS = (SPEC_STACKS, PAGES, DEPENDENCIES, RECORDS, REJECTS, SOURCES)
PUBLISHED = (*PARQUET_FOLDERS, DATABASE)

CURRENT = ".current"
BUILDS = ".builds"
UNFINISHED = ".unfinished"
_NUMBERED = re.compile("[0-9]{6,}")
_BUILD = re.compile(r"[0-9]{6,}(\.[0-9a-f]{16})?(\.unfinished)?")


def find_cache() -> Path:
    """The folder for what is fetched, by the XDG Base Directory Specification.

    Raises:
        WarehouseError: the user has no home, as in a container.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        home = os.path.expanduser("~")
        if not os.path.isabs(home):
            raise WarehouseError(
                "no folder for what is fetched: this user has no home; name one with --cache DIR, "
                "with cache: in a run's file, or with the environment variable XDG_CACHE_HOME"
            )
        base = f"{home}/.cache"
    return Path(base, "spack-warehouse")


def encode_name(text: str) -> str:
    """``text`` as a file's name, percent-encoded as Hive and Arrow do; decoding it as a URL gives the text.

    Names that differ stay two where a file system takes ``a`` and ``A`` for one, or one spelling of an accent for
    another (macOS, Windows); none ends with a dot, which Windows takes off.
    """
    name = _UPPER.sub(lambda found: found[0] if found[1] is None else f"%{ord(found[1]):02X}", quote(text, safe=""))
    return f"{name[:-1]}%2E" if name.endswith(".") else name


_UPPER = re.compile("%[0-9A-F]{2}|([A-Z])")


@lru_cache
def partition_name(snapshot: str) -> str:
    """The Hive partition folder of a snapshot: see :func:`encode_name`.

    A name that would be too long for a file system is the caller's to refuse: see
    :data:`LONGEST_PARTITION`.
    """
    return f"snapshot={encode_name(snapshot)}"


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
        return self._place(SPEC_STACKS, snapshot) / "spec_stacks.parquet"

    @property
    def scratch(self) -> Path:
        """What a build keeps only while it goes."""
        return self.folder / "scratch"

    def loaded(self, table: str, snapshot: str) -> Path:
        """A snapshot's rows of a table that only the DuckDB file has, for DuckDB to load."""
        return self.scratch / table / f"{partition_name(snapshot)}.parquet"

    def pages(self, snapshot: str) -> Path:
        return self._place(PAGES, snapshot) / "pages.parquet"

    def dependencies(self, snapshot: str) -> Path:
        """Dependencies of a snapshot's specs; no file where the sources list none."""
        return self._place(DEPENDENCIES, snapshot) / "dependencies.parquet"

    def records(self, snapshot: str) -> Path:
        """Externals and holes of a snapshot's indexes; no file where it has no index."""
        return self._place(RECORDS, snapshot) / "records.parquet"

    def rejects(self, snapshot: str | None) -> Path:
        """Rejects of a snapshot's pages; with None, of files whose snapshot is not known."""
        if snapshot is None:
            return self.folder / REJECTS / "files.parquet"
        return self._place(REJECTS, snapshot, ".parquet")

    @property
    def sources(self) -> Path:
        """What each source gave."""
        return self.folder / SOURCES / "sources.parquet"

    def list_snapshots(self) -> list[str]:
        """The snapshots that have pages or indexes, in text order."""
        folders = (self.folder / PAGES).glob("snapshot=*/pages.parquet")
        return sorted(unquote(file.parent.name.partition("=")[2]) for file in folders)

    def all_rejects(self) -> list[Path]:
        """Every file of rejects that is there."""
        return sorted((self.folder / REJECTS).glob("*.parquet"))

    def _place(self, table: str, snapshot: str, suffix: str = "") -> Path:
        """The folder, or with a ``suffix`` the file, of a snapshot in a table."""
        return self.folder / table / f"{partition_name(snapshot)}{suffix}"


class PublishedPaths(BuildPaths):
    """The files of a published build, also of one by 0.1.0, which left capitals and dots in names as they are."""

    def _place(self, table: str, snapshot: str, suffix: str = "") -> Path:
        place = super()._place(table, snapshot, suffix)
        old = self.folder / table / f"snapshot={quote(snapshot, safe='')}{suffix}"
        return old if old.exists() and not place.exists() else place


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
    def exports(self) -> Path:
        """What the reports of each folder were made of: see :mod:`pipeline.report.inputs`."""
        return self.root / ".exports.json"

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

    @property
    def held(self) -> BuildPaths | None:
        """What the warehouse holds: the published build, or the files of a copy that followed its links."""
        if self.current is None and (self.root / PAGES).is_dir():
            return BuildPaths(self.root)
        return self.current

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
                child.name.startswith(("snapshot=", ".")) or child.suffix == ".parquet" for child in path.iterdir()
            )
            if not written and not (name == DATABASE and self.builds.is_dir()):
                raise WarehouseError(f"{path}: is no part of a warehouse, and would be replaced; name another folder")

    def refuse_inside(self, out: Path) -> None:
        """Make sure that a folder to write to is not where the builds are kept.

        Raises:
            WarehouseError: it is the warehouse itself, or one of its builds.
        """
        place = out.resolve()
        if place == self.root.resolve() or place.is_relative_to(self.builds.resolve()):
            raise WarehouseError(f"{out}: is where the warehouse {self.root} keeps its own files; name another folder")

    def begin(self, builds: Path) -> BuildPaths:
        """An empty folder for a new build, which no other user can write to; what interrupted builds left goes first.

        ``builds`` is :attr:`builds` by a path that every library can read.

        Raises:
            WarehouseError: the folder of builds is another user's link.
        """
        refuse_planted(self.builds)
        self.builds.mkdir(parents=True, exist_ok=True)
        self.sweep()
        newest = max((int(folder.name) for folder in self._numbered()), default=0)
        # What cannot be removed may have the same number.
        folder = builds / f"{newest + 1:06}.{secrets.token_hex(8)}{UNFINISHED}"
        folder.mkdir(mode=0o700)
        for name in PARQUET_FOLDERS:
            (folder / name).mkdir()
        return BuildPaths(folder)

    def publish(self, build: BuildPaths) -> None:
        """Make ``build`` the warehouse that readers see, at once."""
        finished = build.folder.with_name(build.folder.name.partition(".")[0])
        # As any folder made here.
        shutil.copymode(build.folder / SPEC_STACKS, build.folder)
        put(build.folder, finished)
        # Of a first build the pointer comes last: till then nothing shows. What a copy has in a link's place is good.
        self._link(BuildPaths(finished), [name for name in PUBLISHED if not os.path.lexists(self.root / name)])
        self._point_to(finished.name)

    def _point_to(self, name: str) -> None:
        """Make a whole build the published one."""
        replace_link(self.root / CURRENT, f"{BUILDS}/{name}")
        self._link(BuildPaths(self.builds / name), PUBLISHED)

    def _link(self, build: BuildPaths, names: Iterable[str]) -> None:
        """Let the names that readers open lead to what the published build has of them: it may have no database."""
        for name in names:
            link, target = self.root / name, f"{CURRENT}/{name}"
            if not os.path.lexists(build.folder / name):
                link.unlink(missing_ok=True)
            elif not link.is_symlink() or os.readlink(link) != target:
                replace_link(link, target)

    def roll_back(self) -> str:
        """Make the build before the published one the published one again; returns its name.

        Raises:
            WarehouseError: there is none before it.
        """
        current = self.current
        before = [folder.name for folder in self._numbered() if current and folder.name < current.folder.name]
        if not before:
            raise WarehouseError(f"{self.root}: has no build before the current one")
        self._point_to(max(before))
        return max(before)

    def sweep(self) -> list[Path]:
        """Remove unfinished builds and all whole ones but the published and the one before it.

        Returns those that cannot be removed, as where another user began them. What is no build stays.
        """
        current = self.current
        kept = set()
        if current is not None:
            before = [folder for folder in self._numbered() if folder.name < current.folder.name]
            kept = {current.folder, *sorted(before)[-1:]}
        given_up = [folder for folder in self._list(_BUILD) if folder not in kept]
        for folder in given_up:
            remove(folder)
        for name in (CURRENT, *PUBLISHED):
            sweep_staged(self.root / name)
        return [folder for folder in given_up if os.path.lexists(folder)]

    def _numbered(self) -> list[Path]:
        return self._list(_NUMBERED)

    def _list(self, pattern: re.Pattern[str]) -> list[Path]:
        """The folders of builds whose names match."""
        found = self.builds.iterdir() if self.builds.is_dir() else ()
        return sorted(folder for folder in found if pattern.fullmatch(folder.name) and folder.is_dir())
