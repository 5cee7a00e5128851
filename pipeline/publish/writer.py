"""How the files of a site are written: those alone whose bytes differ, all at once, and a list of what is there."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pipeline.errors import WarehouseError
from pipeline.io.disk import holds_files, measure_file, put_all, remove
from pipeline.report.folder import FILES_PAGE, INDEX, MANIFEST, SITE, STAGING, TAKEN, read_index, refuse_outside
from pipeline.report.landing import MARK


class Manifest(msgspec.Struct):
    """``site.json``: of which inputs and by which program a site was made, and its files, with their bytes.

    ``reports`` are the snapshots' files; both by path, relative to the site's top.
    """

    inputs: str = ""
    program: str = ""
    files: dict[str, int] = {}
    reports: dict[str, int] = {}

    def __post_init__(self) -> None:
        refuse_outside([*self.files, *self.reports])

    def holds(self, out: Path, path: str) -> bool:
        """Whether a file is one of them, and still as long as it was."""
        return path in self.files and measure_file(out / path) == self.files[path]

    def is_whole(self, out: Path) -> bool:
        """Whether every file is still there, as long as it was."""
        return holds_files(out, (*self.files.items(), *self.reports.items()))


def read_manifest(out: Path) -> Manifest | None:
    """The list of a site's files; None where there is none that can be read."""
    try:
        return msgspec.json.decode((out / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


class SiteWriter:
    """Takes a site's files one by one, and lets those that differ take their places together.

    ``files`` are all of them, ``written`` those that are new or differ.
    """

    def __init__(self, out: Path, staging: Path) -> None:
        self.out, self._staging = out, staging
        self.files: dict[str, int] = {}
        self.written: dict[str, Path] = {}

    def add(self, path: str, data: bytes) -> bool:
        """Take a file; returns whether just that is there already."""
        self.files[path] = len(data)
        place = self.out / path
        if measure_file(place) == len(data) and place.read_bytes() == data:
            return True
        staged = self._staging / str(len(self.written))
        staged.write_bytes(data)
        self.written[path] = staged
        return False

    def keep(self, path: str) -> None:
        """Leave a file as it is."""
        self.files[path] = (self.out / path).stat().st_size

    def publish(self) -> None:
        """Let the files take their places: data after their pages, so that no data vouch for a page of earlier ones."""
        ordered = sorted(self.written.items(), key=lambda one: one[0].endswith(".json"))
        put_all((staged, self.out / path) for path, staged in ordered)


@contextlib.contextmanager
def writing(out: Path) -> Iterator[SiteWriter]:
    """A writer, whose files take their places when the context ends, and with an error never do.

    What a killed one left is swept by :meth:`pipeline.report.folder.ReportFolder.hold`.
    """
    staging = out / f"{STAGING}-{secrets.token_hex(8)}"
    staging.mkdir(mode=0o700)
    try:
        writer = SiteWriter(out, staging)
        yield writer
        writer.publish()
    except OSError as error:
        if error.filename is None or str(error.filename).startswith(str(staging)):
            error.filename = str(out)
        raise
    finally:
        remove(staging)


def refuse_others(out: Path) -> None:
    """Make sure that a first site would replace nothing but reports and their landing page.

    Raises:
        WarehouseError: something stands there that was not written here.
    """
    for name in (SITE, FILES_PAGE, MANIFEST, *sorted(TAKEN)):
        path = out / name
        # The reports of a snapshot of such a name move to another.
        if path.exists() and not _is_page(path) and not (path.is_dir() and (_is_page(path / SITE) or read_index(path))):
            raise WarehouseError(
                f"{path}: is no part of a site, and would be replaced; move it away, or write elsewhere"
            )


def _is_page(path: Path) -> bool:
    """Whether a page was written here."""
    return path.suffix == ".html" and path.is_file() and MARK.encode() in path.read_bytes()


def list_reports(out: Path, folder: Path, index: dict[str, object]) -> dict[str, int]:
    """The files that a snapshot's ``index.json`` names, and itself, by their path in the site, with their bytes."""
    reports = index["reports"]
    assert isinstance(reports, list)
    files = {f"{folder.name}/{one['path']}": int(one["bytes"]) for one in reports}
    return {**files, f"{folder.name}/{INDEX}": (out / folder.name / INDEX).stat().st_size}
