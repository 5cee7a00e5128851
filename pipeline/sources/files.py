"""Find and read the files of the sources; the only module that opens them."""

from __future__ import annotations

import hashlib
import operator
import os
import stat
import struct
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pipeline.errors import Fault, FileFaultsError, SourceError
from pipeline.io.urls import OCI, has_scheme, is_url, read_file_url, show_url

if TYPE_CHECKING:
    from pipeline.settings import NamedSource
    from pipeline.yamlfiles.models import SettingsFile


BOM = b"\xef\xbb\xbf"
UNLISTED = "is a folder that cannot be listed"
SKIPPED_FOLDERS = frozenset({".git"})
LARGEST_PAGE = 64 * 2**20
"""Bytes; the largest pages seen are about 1 MiB."""
LARGEST_INDEX = 2**30
"""Bytes of an index, packed or not; those of the largest caches have 300 MB."""
FIRST_READ = 2**20
"""Bytes: nearly every page comes in one read, and of a large file that is no page no more is read."""
LARGEST_SMALL_FILE = 16 * 2**20
"""Bytes of a manifest, a checksum or a listing, packed or not."""


_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_SIGNATURE = struct.Struct("<QqqQ")


class IndexRole(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """That a file is the build-cache index of a stack in a snapshot (of the root mirror: ``root``).

    ``checksum`` is the SHA-256 that it is named by and must have, ``stated`` the one that a file beside it
    states, which may be out of step; ``file`` is where it is to be read if that is not its entry's path, below
    the source or absolute; ``fault`` why it cannot be read; ``sizes`` where the sizes of its specs are found, as
    ``file`` is; each is empty where there is none. ``layout`` is one of :mod:`pipeline.spack.readers`, empty where it
    is not known.
    """

    snapshot: str
    stack: str
    checksum: str = ""
    file: str = ""
    fault: str = ""
    stated: str = ""
    layout: str = ""
    sizes: str = ""


class Entry(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A file as the folder shows it.

    ``source`` is the number of its source; ``path`` is relative to that source, with ``/``, or a URL.
    ``signature`` changes whenever the content may have changed: size, modification and change
    time in nanoseconds, inode, packed, for there is one in memory for every file of the sources.
    It is empty where the file cannot be looked at. A file without ``index`` may be a page.
    """

    source: int
    path: str
    signature: bytes
    index: IndexRole | None = None

    def is_as(self, before: Entry) -> bool:
        """Whether the file is what it was ``before``: its content, and what it is taken for."""
        return bool(self.signature) and (self.signature, self.index) == (before.signature, before.index)

    @property
    def size(self) -> int:
        """Bytes; 0 where they are not known."""
        return _SIGNATURE.unpack(self.signature)[0] if self.signature else 0

    @property
    def changed_ns(self) -> int:
        """The later of modification and change time; 0 where they are not known."""
        return max(_SIGNATURE.unpack(self.signature)[1:3]) if self.signature else 0


class Source(NamedTuple):
    """A source: a folder, and the one file of it that counts, or None for all of them.

    ``folder`` is a URL where the source is remote: nothing of that lies in it. ``snapshot`` and ``stack``
    are the names that the source was given, None where it was given none. ``written`` is the path as the user
    wrote it, ``fault`` why it cannot be read, empty where it can; what is ``optional`` may fail. ``allow_hosts`` are
    the hosts and buckets, besides its own, that a listing may send the reader to: see
    :func:`pipeline.io.urls.may_lead_to`.
    """

    folder: str
    only: str | None = None
    snapshot: str | None = None
    stack: str | None = None
    written: str = ""
    fault: str = ""
    optional: bool = False
    allow_hosts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The source as the user named it, without what may be secret."""
        return self.written or self.place

    @property
    def is_archive(self) -> bool:
        """Whether it is a warehouse, or has the Parquet folders of one."""
        folders = (os.path.join(self.folder, name) for name in ("spec_stacks", "pages"))
        return not self.is_remote and self.only is None and all(map(os.path.isdir, folders))

    @property
    def is_remote(self) -> bool:
        """Whether it is behind a URL."""
        return "://" in self.folder

    @property
    def place(self) -> str:
        """The path, or the URL without what may be secret, as messages show it."""
        if self.is_remote:
            return show_url(self.folder)
        return self.folder if self.only is None else os.path.join(self.folder, self.only)

    def allow(self, hosts: Iterable[str]) -> Source:
        """The same source, which may lead to ``hosts``, too."""
        return self._replace(allow_hosts=tuple(dict.fromkeys([*self.allow_hosts, *hosts])))

    def from_anywhere(self) -> Source:
        """The same source, by a path that leads to it from any folder."""
        return self if self.is_remote else self._replace(folder=os.path.abspath(self.folder), written=self.name)

    def show(self, entry: Entry) -> str:
        """The path or URL of an entry, as messages name it."""
        return entry.path if self.is_remote else f"{self.folder}/{entry.path}"

    def locate(self, entry: Entry) -> str:
        """The path to open for an entry of this source."""
        if entry.index is not None and entry.index.file:
            return os.path.join(self.folder, entry.index.file)
        return f"{self.folder}/{entry.path}"


def scan(sources: Sequence[Source], skip: Collection[Path] = ()) -> Iterator[Entry]:
    """All files of the sources, as they are found.

    Links to folders are followed, after what is no link, and of each source a folder counts once: one that also
    stands there by its own name goes by that. ``.git`` and the folders in ``skip`` (such as the warehouse itself) are
    skipped. What is neither file nor link (a pipe, a device) is no source of anything and is never opened.
    """
    skipped = {os.path.realpath(folder) for folder in skip}
    for index, source in enumerate(sources):
        if source.is_remote or source.fault or source.is_archive:
            continue
        paths = [source.only] if source.only is not None else _list_below(source.folder, skipped)
        for path in paths:
            yield look(index, f"{source.folder}/{path}", path)


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Entries in the order of source and path, which every later stage keeps."""
    return sorted(entries, key=lambda entry: (entry.source, entry.path))


def look(source: int, full: str, path: str, index: IndexRole | None = None) -> Entry:
    """The entry of one file, whatever it is."""
    if (readable := make_readable(path)) != path:
        # It is not opened by this name, and so becomes a reject.
        return Entry(source, readable, b"", index)
    try:
        status = os.stat(full)
    except OSError:
        return Entry(source, path, b"", index)
    # Times may lie before 1970, and an inode may fill 64 bits.
    signature = _SIGNATURE.pack(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return Entry(source, path, signature, index)


def cover(entry: Entry, parts: Iterable[Entry], context: str = "") -> Entry:
    """``entry`` as one with its ``parts``: its size is that of all, and its signature changes with each of them.

    It also changes with ``context``. Where one of them cannot be looked at, it is empty.
    """
    if not (parts := list(parts)) and not context:
        return entry
    held = [entry, *sorted(parts, key=operator.attrgetter("path"))]
    if not all(one.signature for one in held):
        return msgspec.structs.replace(entry, signature=b"")
    digest = hashlib.blake2b(context.encode("utf-8", "surrogateescape"), digest_size=8)
    for one in held:
        digest.update(one.path.encode("utf-8", "surrogateescape") + b"\0" + one.signature)
    sizes, modified, changed, _ = zip(*(_SIGNATURE.unpack(one.signature) for one in held), strict=True)
    number = int.from_bytes(digest.digest(), "little")
    return msgspec.structs.replace(entry, signature=_SIGNATURE.pack(sum(sizes), max(modified), max(changed), number))


def make_readable(name: str) -> str:
    """A name from the file system as text: bytes that are no UTF-8 are spelt as ``\\xff``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _list_below(folder: str, skipped: Collection[str]) -> Iterator[str]:
    """Relative paths of the files below a folder, and of folders that cannot be listed."""
    seen = {*skipped}
    links: list[str] = []
    yield from _walk(folder, os.path.realpath(folder), "", seen, links)
    while links:
        followed, links = sorted(links), []
        for path in followed:
            target = os.path.realpath(f"{folder}/{path}")
            if target not in seen:
                yield from _walk(f"{folder}/{path}", target, f"{path}/", seen, links)


def _walk(folder: str, real: str, prefix: str, seen: set[str], links: list[str]) -> Iterator[str]:
    """Relative paths of the files below a folder, and of folders that cannot be listed; links are not followed.

    ``real`` is the folder's path without links; ``seen`` are the real paths that are not entered, to which those
    that are entered are added. To ``links`` are added those to folders, but for links back up.
    """
    seen.add(real)
    try:
        entries = list(os.scandir(folder))
    except OSError:
        yield prefix.rstrip("/") or "."
        return
    for entry in entries:
        path = prefix + entry.name
        if entry.is_dir(follow_symlinks=False):
            below = f"{real}/{entry.name}"
            if entry.name not in SKIPPED_FOLDERS and below not in seen:
                yield from _walk(entry.path, below, path + "/", seen, links)
        elif entry.is_file(follow_symlinks=False):
            yield path
        elif entry.is_symlink():
            # Not entry.is_dir(), which fails where links lead in a circle.
            if not os.path.isdir(entry.path):
                yield path
            elif not f"{real}/".startswith(f"{os.path.realpath(entry.path)}/"):
                links.append(path)


def read_page_bytes(full: str) -> tuple[bytes | None, str]:
    """A file's bytes, or None where it cannot be a page, and the SHA-256 of what was read.

    Raises:
        Fault: the file cannot be read, is larger than a page may be, or keeps changing.
    """
    return _read(full, LARGEST_PAGE, opens_like_page)


def read_index_bytes(full: str) -> tuple[bytes, str]:
    """The bytes of an index as they lie, and their SHA-256.

    Raises:
        Fault: the file cannot be read, is larger than an index may be, or keeps changing.
    """
    data, sha256 = _read(full, LARGEST_INDEX, lambda head: True)
    if data is None:
        raise Fault("file", "is no file")
    return data, sha256


def read_small_bytes(full: str) -> bytes:
    """The bytes of a manifest, a checksum or a listing, unpacked where a server sent them as gzip.

    Raises:
        OSError: it is no file, or cannot be read.
        ValueError: it is larger than such a file may be, or cannot be unpacked.
    """
    if not os.path.isfile(full):
        raise FileNotFoundError(f"{full} is no file")
    with open(full, "rb") as file:
        data = file.read(LARGEST_SMALL_FILE + 1)
    if data.startswith(b"\x1f\x8b"):
        unpacker = zlib.decompressobj(wbits=31)
        try:
            data = unpacker.decompress(data, LARGEST_SMALL_FILE + 1)
        except zlib.error as error:
            raise ValueError(f"cannot be unpacked as gzip: {error}") from None
    if len(data) > LARGEST_SMALL_FILE:
        raise ValueError(f"is larger than {LARGEST_SMALL_FILE // 2**20} MiB")
    return data


def unpack(data: bytes) -> bytes:
    """An index as JSON, from the packed form that it may lie in: gzip or zstd, known by its first bytes.

    Raises:
        Fault: it cannot be unpacked, or is larger than an index may be.
    """
    codec = next((codec for magic, codec in _MAGIC.items() if data.startswith(magic)), None)
    if codec is None:
        return data
    import pyarrow as pa

    try:
        with pa.CompressedInputStream(pa.BufferReader(data), codec) as stream:
            unpacked: bytes = stream.read(LARGEST_INDEX + 1)
    except (OSError, pa.ArrowInvalid) as error:
        raise Fault("file", f"cannot be unpacked as {codec}: {error}") from None
    if len(unpacked) > LARGEST_INDEX:
        raise Fault("file", f"is larger than {LARGEST_INDEX // 2**20} MiB when unpacked")
    return unpacked


def opens_like_page(head: bytes) -> bool:
    """Whether a file that begins with ``head`` may be a page; an empty one may have been."""
    return not head or head.removeprefix(BOM).startswith(b"---")


def _read(full: str, largest: int, may_be: Callable[[bytes], bool]) -> tuple[bytes | None, str]:
    for _ in range(3):
        try:
            data, steady = _read_once(full, largest, may_be)
        except OSError as error:
            raise Fault("file", f"cannot be read: {error.strerror or error}") from None
        if steady:
            return data, hashlib.sha256(data).hexdigest() if data is not None else ""
    raise Fault("file", "changes while it is read")


def _read_once(full: str, largest: int, may_be: Callable[[bytes], bool]) -> tuple[bytes | None, bool]:
    # O_NONBLOCK: opening a pipe that was put in the file's place must not wait for a writer.
    descriptor = os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            if stat.S_ISDIR(before.st_mode):
                raise Fault("file", UNLISTED)
            return None, True
        data = os.read(descriptor, min(before.st_size + 1, FIRST_READ))
        if not may_be(data[:8]):
            return None, True
        if before.st_size > largest:
            raise Fault("file", f"is larger than {largest // 2**20} MiB, with {before.st_size:,} bytes")
        if len(data) < before.st_size:
            data += _read_rest(descriptor, before.st_size - len(data))
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    steady = len(data) == after.st_size and (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
    return data, steady


def _read_rest(descriptor: int, size: int) -> bytes:
    """The next ``size`` bytes, or fewer where the file ends before."""
    parts = []
    while size > 0 and (part := os.read(descriptor, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


YAML_SUFFIXES = (".yaml", ".yml")
MISSING = "no such file or folder"


def read_url(url: str) -> str:
    """What a URL names: itself where that is remote, and a path where it is of a file here.

    Raises:
        SourceError: it is none that can be read.
    """
    if is_url(url) or has_scheme(url, OCI):
        return url.rstrip("/")
    try:
        if has_scheme(url, ("file",)):
            return read_file_url(url)
    except ValueError as error:
        raise SourceError(f"{show_url(url)}: {error}") from None
    raise SourceError(f"{show_url(url)}: is no URL of https, http, s3 or file")


def find_sources(named: Sequence[str | Path | Source], allow_hosts: Sequence[str] = ()) -> list[Source]:
    """The sources that are named, each once; one may be a source already. Each may lead to ``allow_hosts``, too.

    Raises:
        SourceError: one does not exist.
        FileFaultsError: a YAML file of sources is wrong.
    """
    reader = SourceReader()
    sources: list[Source] = []
    for source in named:
        sources += [source] if isinstance(source, Source) else reader.find(str(source))
        if reader.faults:
            raise FileFaultsError(reader.faults)
    return list_once(source.allow(allow_hosts) for source in sources)


def list_once(sources: Iterable[Source]) -> list[Source]:
    """Each source once, however its path is spelt."""
    once: dict[tuple[str | None, ...], Source] = {}
    for one in sources:
        once.setdefault((one.folder, one.only, one.snapshot, one.stack), one)
    return list(once.values())


class SourceReader:
    """Finds sources, and goes on after a fault of a file that names some.

    ``faults`` are lines. A path that cannot be found or read is a source with a fault of its own. ``written`` has
    the paths as they were written, by the absolute ones. ``within`` is the file that is being read, if any.
    """

    def __init__(self, within: Path | None = None) -> None:
        self.faults: list[str] = []
        self.written: dict[str, str] = {}
        self._within = [os.path.realpath(within)] if within is not None else []

    def find(self, source: str, snapshot: str | None = None, stack: str | None = None) -> list[Source]:
        """The sources that a path or URL stands for.

        Raises:
            SourceError: it is none that can be read.
        """
        if "://" in source:
            source = read_url(source)
            if "://" in source:
                return [Source(source, None, snapshot, stack)]
        full = os.path.abspath(source)
        self.written[full] = os.path.normpath(source)
        written = show_url(make_readable(self.written[full]))
        if not os.path.lexists(source):
            return [Source(full, None, snapshot, stack, written, MISSING)]
        if os.path.isdir(full):
            return [Source(full, None, snapshot, stack, written)]
        if full.endswith(YAML_SUFFIXES) and snapshot is None and stack is None:
            try:
                return self.read_file(Path(source))
            except OSError as error:
                return [Source(full, None, None, None, written, error.strerror or str(error))]
        return [Source(*os.path.split(full), snapshot, stack, written)]

    def read_file(self, path: Path) -> list[Source]:
        """The sources that a YAML file names.

        Raises:
            FileFaultsError: it is no YAML.
            SourceError: it is being read already.
            OSError: it cannot be read.
        """
        from pipeline.settings import SourcesFile
        from pipeline.yamlfiles.models import SettingsFile
        from pipeline.yamlfiles.values import read_text

        real = os.path.realpath(path)
        if real in self._within:
            raise SourceError(f"{path}: names itself as a source, if only by another file")
        file = SettingsFile(read_text(path), str(path), path.parent)
        self._within.append(real)
        read = file.read(SourcesFile)
        sources = self.read_entries(file, read.sources if read is not None else ())
        if read is not None:
            sources = [source.allow(read.allow_hosts) for source in sources]
        self._within.pop()
        self.faults += file.list_faults()
        return sources

    def read_entries(self, file: SettingsFile, entries: Sequence[NamedSource | None]) -> list[Source]:
        """The sources that the entries of a file name; what is wrong with them is added to the file's faults."""
        return [source for entry in entries if entry is not None for source in self.read_entry(file, entry)]

    def read_entry(self, file: SettingsFile, entry: NamedSource) -> list[Source]:
        """The sources that an entry of a sources file names; none where it is wrong, which is a fault of ``file``."""
        try:
            source = read_url(entry.url) if entry.url is not None else str(file.folder / (entry.path or ""))
        except SourceError as error:
            file.refuse(entry.line, f"url: {error}")
            return []
        if entry.path is not None and "://" in entry.path and not os.path.lexists(source):
            file.refuse(entry.line, f"path: {show_url(entry.path)}: is a URL, whose key is url")
            return []
        outer, self.faults = self.faults, []
        try:
            found = self.find(source, entry.snapshot, entry.stack)
            return [one._replace(optional=one.optional or entry.optional) for one in found]
        except FileFaultsError as error:
            self.faults += error.faults
        except SourceError as error:
            file.refuse(entry.line, str(error))
        finally:
            # Those of the files that it names stand where it does.
            file.faults += [(entry.line, fault) for fault in self.faults]
            self.faults = outer
        return []
