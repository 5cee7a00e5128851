"""A folder of reports: a folder for each snapshot, and the one way in which it is renewed."""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from pipeline.errors import WarehouseError
from pipeline.io.disk import flush, hold_folder, is_remains, put, remove, renew_file, sweep_staged
from pipeline.layout import encode_name

INDEX = "index.json"
SITE = "index.html"
STAGING = ".spack-warehouse"
"""What the names of folders begin with in which reports wait for their place."""
LOCK = ".spack-warehouse.lock"
FILES_PAGE = "files.html"
"""What :data:`SITE` is called in the folder of a whole site, whose front page has that name."""
MANIFEST = "site.json"
"""What is in a folder that holds a whole site, and nothing but reports in none."""
TAKEN = frozenset(
    ("package", "stack", "snapshot", "latest", "badge", "feed.atom", "status.json", "front.json", "site.css", "site.js")
)
"""What a whole site has beside :data:`SITE`, :data:`INDEX`, :data:`FILES_PAGE` and :data:`MANIFEST`."""
DATA, API, QUERY = "data", "api", "sql"
CATALOG, RELEASES = "catalog.duckdb", "releases.json"
PUBLISHED = (DATA, API, QUERY, CATALOG, RELEASES)
"""Where published data lie beside the reports: see :mod:`pipeline.catalog.folder`."""


LONGEST = 200
"""Letters of the name of a file or folder; what is longer ends in a digest."""


class _File(msgspec.Struct):
    """What every entry of a snapshot's ``index.json`` has; some have more."""

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
    """The name of a snapshot's folder: as :func:`safe_name`, and none of those that a site has beside it."""
    name = safe_name(snapshot)
    return _encode_first(name) if name in (FILES_PAGE, MANIFEST, *TAKEN, *PUBLISHED) else name


def safe_name(text: str) -> str:
    """The name of a folder for a snapshot, package or stack: see :func:`encode_name`.

    A name that begins with a dot would be hidden or lead out of the reports, two are the site's own, and some
    are Windows' own, with any ending.
    """
    name = encode_name(text)
    if name.startswith(".") or name in (INDEX, SITE):
        return name.replace(".", "%2E")
    return _encode_first(name) if _DEVICE.fullmatch(name) else name


def short_name(text: str) -> str:
    """As :func:`safe_name`, at most :data:`LONGEST` letters and a digest of the text."""
    name = safe_name(text)
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}~{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@lru_cache(maxsize=8192)
def folder_of(kind: str, name: str) -> str:
    """The folder of the page of a package, stack or snapshot, relative to the site's top."""
    return f"{kind}/{short_name(name)}"


def refuse_outside(paths: Iterable[str]) -> None:
    """Make sure that the paths of a list of files lead nowhere but into its folder, whoever edited it.

    Raises:
        ValueError: one leads out of it.
    """
    for path in paths:
        if not path or path.startswith("/") or not {"..", "\\"}.isdisjoint([*path.split("/"), *path]):
            raise ValueError(f"{path!r} leads out of the folder")


def _encode_first(name: str) -> str:
    return f"%{ord(name[0]):02X}{name[1:]}"


_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


def former_names(snapshot: str) -> set[str]:
    """The names of the folder in earlier versions, which kept capitals, or had no site's names to keep clear of."""
    name = quote(snapshot, safe="")
    kept = name.replace(".", "%2E") if name.startswith(".") or name in (INDEX, SITE) else name
    return {kept, safe_name(snapshot)} - {folder_name(snapshot)}


@dataclass(frozen=True)
class ReportFolder:
    """The folder ``root``, which need not be there yet."""

    root: Path

    def folder(self, snapshot: str) -> Path:
        return self.root / folder_name(snapshot)

    @property
    def is_site(self) -> bool:
        """Whether it is that of a whole site, of which the reports are a part."""
        return (self.root / MANIFEST).is_file()

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
        with hold_folder(self.root / LOCK, waiting):
            self._sweep()
            self._rename_former()
            try:
                yield
            finally:
                self._sweep()

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
            self._give_up(staging)

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
            if index is not None and folder.name in former_names(index["snapshot"]):
                now = self.folder(index["snapshot"])
                if not os.path.lexists(now):
                    folder.rename(now)

    def _sweep(self) -> None:
        """Put back what was taken away for something that never came, and give up the rest."""
        for staging in self.root.glob(f"{STAGING}*"):
            self._give_up(staging)
        for name in (INDEX, SITE, FILES_PAGE, MANIFEST):
            sweep_staged(self.root / name)

    def _give_up(self, staging: Path) -> None:
        """The same of one ``staging`` folder."""
        old = staging / "old"
        # What cannot be put back is not given up either.
        with contextlib.suppress(OSError):
            if staging.is_symlink() or not staging.is_dir():
                return
            for folder in old.iterdir() if old.is_dir() else ():
                if not os.path.lexists(self.root / folder.name):
                    folder.rename(self.root / folder.name)
            remove(staging)


def read_index(folder: Path) -> dict[str, Any] | None:
    """The ``index.json`` of a snapshot's folder; None where there is none that was written here."""
    return _decode(folder / INDEX, _Index)


def list_own(folder: Path) -> list[str]:
    """The files of a snapshot's folder that were written here, the index last."""
    index = read_index(folder)
    return [*(one["path"] for one in index["reports"]), INDEX] if index else []


def find_foreign(folder: Path, snapshot: str, names: Collection[str]) -> Path | None:
    """What in the place of a snapshot's folder was not written here; hidden files are nobody's.

    ``names`` are those that reports may have: in a folder whose index was cut they show which file is a report.
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
