"""Hold what is published against its manifest, both ways: what is missing, what is other, and what nobody published.

Where it is a part of a whole site the list of the site's own files counts too. Of a URL no folder can be listed: there
the files that the published descriptions lead to are what may be alien.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from pipeline.catalog.folder import MANIFEST, Manifest, PublishedFile, digest_file
from pipeline.catalog.tables import address_of
from pipeline.errors import NoFileError, RemoteError, SourceError
from pipeline.io.disk import measure_file, remove
from pipeline.io.urls import is_url, show_url
from pipeline.report import folder as reports
from pipeline.report.folder import DATA, PUBLISHED
from pipeline.sources.download import Limits, RemoteFiles

PATIENCE = Limits(largest=2**40, connect=10.0, idle=30.0, total=3600.0, attempts=3)
SITE_FILES = ("status.json", reports.MANIFEST, reports.INDEX, reports.SITE, reports.FILES_PAGE)
"""What a site has at its top besides the files that its own manifest lists."""


class _Site(msgspec.Struct):
    files: dict[str, int] = {}
    reports: dict[str, int] = {}

    def __post_init__(self) -> None:
        reports.refuse_outside([*self.files, *self.reports])


class _Resource(msgspec.Struct):
    path: str
    schema: str


class _Package(msgspec.Struct):
    resources: list[_Resource]


def verify(place: str) -> tuple[int, Iterator[str]]:
    """How many files the manifest at a folder or URL lists, and a line for each fault.

    Raises:
        RemoteError: the manifest cannot be fetched.
        SourceError: it cannot be read.
    """
    if is_url(place):
        return _verify_url(place)
    out = Path(place)
    try:
        data = (out / MANIFEST).read_bytes()
    except OSError as error:
        raise SourceError(f"{out / MANIFEST}: {error.strerror}; nothing was published here") from None
    manifest = _decode(data, str(out / MANIFEST))
    return len(manifest.files), _list_faults(out, manifest)


def _decode(data: bytes, shown: str) -> Manifest:
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{shown}: is not a manifest: {error}") from None
    if not manifest.files:
        raise SourceError(f"{shown}: lists no file: nothing was published whole")
    return manifest


def _listed(manifest: Manifest) -> Mapping[str, PublishedFile]:
    return {**manifest.previous, **manifest.files}


def _list_faults(out: Path, manifest: Manifest) -> Iterator[str]:
    """The faults of a folder, in the order of their paths."""
    listed = _listed(manifest)
    for path, one in sorted(listed.items()):
        size = measure_file(out / path)
        if size is None or not (out / path).is_file():
            yield f"missing: {path}"
        elif size != one.bytes:
            yield f"other: {path}: {size:,} bytes, and {one.bytes:,} were published"
        elif digest_file(out / path) != one.sha256:
            yield f"other: {path}: its SHA-256 is another"
    site = _read_site(out)
    for path, bytes in sorted(site.items()):
        size = measure_file(out / path)
        if size is None:
            yield f"missing: {path}"
        elif size != bytes:
            yield f"other: {path}: {size:,} bytes, and {bytes:,} were published"
    known = {MANIFEST, *listed, *site, *(SITE_FILES if site else ())}
    tops = [out] if site else [out / name for name in PUBLISHED]
    yield from (f"alien: {path}" for path in sorted(_list_files(out, tops)) if path not in known)


def _read_site(out: Path) -> Mapping[str, int]:
    """The bytes of each file of a whole site by path; none where there is no site."""
    try:
        site = msgspec.json.decode((out / reports.MANIFEST).read_bytes(), type=_Site)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return {**site.files, **site.reports}


def _list_files(out: Path, tops: list[Path]) -> Iterator[str]:
    """The paths of all files below some folders; at the top hidden ones, as of a version control, do not count."""
    for top in tops:
        if top.is_file():
            yield top.relative_to(out).as_posix()
        for folder, folders, names in os.walk(top):
            if Path(folder) == out:
                folders[:] = [name for name in folders if not name.startswith(".")]
                names = [name for name in names if not name.startswith(".")]
            for name in names:
                yield Path(folder, name).relative_to(out).as_posix()


def _verify_url(place: str) -> tuple[int, Iterator[str]]:
    base = f"{place.rstrip('/')}/"
    url = address_of(base, MANIFEST)
    with tempfile.TemporaryDirectory() as cache, RemoteFiles(Path(cache), limits=PATIENCE) as files:
        manifest = _decode(files.fetch(url).path.read_bytes(), show_url(url))
    return len(manifest.files), _list_remote_faults(base, manifest)


def _list_remote_faults(base: str, manifest: Manifest) -> Iterator[str]:
    """The faults of what is at a URL: each file is fetched, and is not kept."""
    listed = _listed(manifest)
    with tempfile.TemporaryDirectory() as cache, RemoteFiles(Path(cache), limits=PATIENCE) as files:
        for path, one in sorted(listed.items()):
            try:
                got = files.fetch(address_of(base, path))
            except RemoteError as error:
                yield f"missing: {path}" if isinstance(error, NoFileError) else f"missing: {path}: {error}"
                continue
            if (got.size, got.sha256) != (one.bytes, one.sha256):
                yield f"other: {path}: {got.size:,} bytes with another SHA-256 than was published"
            elif path == f"{DATA}/datapackage.json":
                package = msgspec.json.decode(got.path.read_bytes(), type=_Package)
                named = {f"{DATA}/{part}" for one in package.resources for part in (one.path, one.schema)}
                yield from (f"alien: {name}: described, and not listed" for name in sorted(named - set(listed)))
            remove(got.path.parent)
