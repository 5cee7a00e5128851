"""The paths of a warehouse and of a folder of reports, and how either is published.

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
import re
import secrets
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from pipeline.disk import (
    flush,
    hold_lock,
    is_remains,
    put,
    refuse_planted,
    remove,
    renew_file,
    replace_link,
    sweep_staged,
)
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
                child.name.startswith(("snapshot=", ".")) or child.suffix == ".parquet" for child in path.iterdir()
            )
            if not written and not (name == DATABASE and self.builds.is_dir()):
                raise WarehouseError(f"{path}: is no part of a warehouse, and would be replaced; name another folder")

    def begin(self) -> BuildPaths:
        """An empty folder for a new build, which no other user can write to; what interrupted builds left goes first.

        Raises:
            WarehouseError: the folder of builds is another user's link.
        """
        refuse_planted(self.builds)
        self.builds.mkdir(parents=True, exist_ok=True)
        self.sweep()
        newest = max((int(folder.name) for folder in self._numbered()), default=0)
        # What cannot be removed may have the same number.
        folder = self.builds / f"{newest + 1:06}.{secrets.token_hex(8)}{UNFINISHED}"
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
        self._link(name for name in PUBLISHED if not os.path.lexists(self.root / name))
        replace_link(self.root / CURRENT, f"{BUILDS}/{finished.name}")
        self._link(PUBLISHED)

    def _link(self, names: Iterable[str]) -> None:
        """Let the names that readers open lead to the published build."""
        for name in names:
            link, target = self.root / name, f"{CURRENT}/{name}"
            if not link.is_symlink() or os.readlink(link) != target:
                replace_link(link, target)

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


INDEX = "index.json"
SITE = "index.html"
STAGING = ".spack-warehouse"
"""What the names of folders begin with in which reports wait for their place."""
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
    """The name of a snapshot's folder: see :func:`encode_name`.

    A name that begins with a dot would be hidden or lead out of the reports, two are the site's own, and some
    are Windows' own, with any ending.
    """
    name = encode_name(snapshot)
    if name.startswith(".") or name in (INDEX, SITE):
        return name.replace(".", "%2E")
    return f"%{ord(name[0]):02X}{name[1:]}" if _DEVICE.fullmatch(name) else name


_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


def former_name(snapshot: str) -> str:
    """The name of the folder until version 0.1, which kept capitals."""
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
            self._rename_former()
            try:
                yield
            finally:
                # A site shows what is here. Whoever waits sees that this lock is of no file, and makes it anew.
                lock.unlink(missing_ok=True)

    def refuse_foreign(self, snapshots: Iterable[str], names: Collection[str]) -> None:
        """Make sure that the reports of ``snapshots`` would replace nothing but reports; ``names`` are those of all.

        What a power cut left of an index counts as written here.

        Raises:
            WarehouseError: something stands there that was not written here.
        """
        index = self.root / INDEX
        foreign = [index] if index.exists() and _decode(index, _Indexes) is None and not _is_cut(index) else []
        foreign += [path for name in snapshots if (path := find_foreign(self.folder(name), name, names)) is not None]
        if foreign:
            raise WarehouseError(f"{foreign[0]}: is no report, and would be replaced; move it away, or write elsewhere")

    @contextlib.contextmanager
    def replace(self, snapshot: str) -> Iterator[Path]:
        """An empty folder to fill: it takes the place of the snapshot's own, where they do not hold the same.

        A file that cannot be written is named as that of the snapshot's folder.
        """
        folder, staging = self.folder(snapshot), self.root / f"{STAGING}-{secrets.token_hex(8)}"
        new, old = staging / "new", staging / "old"
        try:
            # Nobody else can put a link where a report is about to be written.
            staging.mkdir(mode=0o700)
            new.mkdir()
            yield new
            if not _hold_same(new, folder):
                old.mkdir()
                # Only renames are left when the old ones go.
                flush(new)
                with contextlib.suppress(FileNotFoundError):
                    folder.rename(old / folder.name)
                put(new, folder)
        except OSError as error:
            if error.filename is None or error.filename.startswith(f"{staging}"):
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

    def _rename_former(self) -> None:
        """Give folders of an earlier version the names that theirs have now."""
        for folder in sorted(self.root.iterdir()):
            index = read_index(folder)
            if index is not None and folder.name == former_name(index["snapshot"]) != folder_name(index["snapshot"]):
                now = self.folder(index["snapshot"])
                if not os.path.lexists(now):
                    folder.rename(now)

    def _sweep(self) -> None:
        """Put back what was taken away for something that never came, and give up the rest."""
        for staging in self.root.glob(f"{STAGING}*"):
            old = staging / "old"
            # What cannot be put back is not given up either.
            with contextlib.suppress(OSError):
                if staging.is_symlink() or not staging.is_dir():
                    continue
                for folder in old.iterdir() if old.is_dir() else ():
                    if not os.path.lexists(self.root / folder.name):
                        folder.rename(self.root / folder.name)
                remove(staging)
        for name in (INDEX, SITE):
            sweep_staged(self.root / name)


def read_index(folder: Path) -> dict[str, Any] | None:
    """The ``index.json`` of a snapshot's folder; None where there is none that was written here."""
    return _decode(folder / INDEX, _Index)


def list_own(folder: Path) -> list[str]:
    """The files of a snapshot's folder that were written here, the index last."""
    index = read_index(folder)
    return [*(one["path"] for one in index["reports"]), INDEX] if index else []


def find_foreign(folder: Path, snapshot: str, names: Collection[str]) -> Path | None:
    """What in the place of a snapshot's folder was not written here; hidden files are nobody's.

    ``names`` are those that reports may have: of a folder whose index was cut, they tell what is a report.
    """
    if not folder.is_dir():
        return folder if folder.exists() else None
    index = read_index(folder)
    own = list_own(folder) if index is not None and index["snapshot"] == snapshot else []
    if index is None and _is_cut(folder / INDEX, snapshot):
        own = [INDEX, *names]
    return min((path for path in folder.iterdir() if path.name not in own and path.name[0] != "."), default=None)


def _is_cut(index: Path, snapshot: str | None = None) -> bool:
    """Whether an index, of all snapshots or of one, is there and is what a power cut left of it."""
    whole = encode({"snapshots": [{"snapshot": ""}]} if snapshot is None else {"snapshot": snapshot, "kind": ""})
    opening = whole.rpartition(b'""')[0]
    return index.is_file() and is_remains(index, opening)


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
