"""Find and read the files of the sources; the only module that opens them."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import msgspec

from pipeline.errors import Fault, FileFaultsError, SourceError

if TYPE_CHECKING:
    from pipeline.settings import NamedSource, SettingsFile


BOM = b"\xef\xbb\xbf"
UNLISTED = "is a folder that cannot be listed"
SKIPPED_FOLDERS = frozenset({".git"})
LARGEST_PAGE = 64 * 2**20
"""Bytes; the largest pages seen are about 1 MiB."""
LARGEST_INDEX = 2**30
"""Bytes of an index, packed or not; those of the largest caches have 300 MB."""
FIRST_READ = 2**20
"""Bytes: nearly every page comes in one read, and of a large file that is no page no more is read."""


_SIGNATURE = struct.Struct("<QqqQ")


class IndexRole(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """That a file is the build-cache index of a stack in a snapshot (of the root mirror: ``root``).

    ``checksum`` is the SHA-256 that the cache gives for it, ``file`` where it is to be read if that is
    not its entry's path, ``fault`` why it cannot be read; each is empty where there is none.
    """

    snapshot: str
    stack: str
    checksum: str = ""
    file: str = ""
    fault: str = ""


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
    wrote it, ``fault`` why it cannot be read, empty where it can; what is ``optional`` may fail.
    """

    folder: str
    only: str | None = None
    snapshot: str | None = None
    stack: str | None = None
    written: str = ""
    fault: str = ""
    optional: bool = False

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
        return "://" in self.folder

    @property
    def place(self) -> str:
        """The path, or the URL without what may be secret, as messages tell it."""
        if self.is_remote:
            return show_url(self.folder)
        return self.folder if self.only is None else os.path.join(self.folder, self.only)

    def locate(self, entry: Entry) -> str:
        """The path to open for an entry of this source."""
        if entry.index is not None and entry.index.file:
            return entry.index.file
        return f"{self.folder}/{entry.path}"


def scan(sources: Sequence[Source], skip: Collection[Path] = ()) -> Iterator[Entry]:
    """All files of the sources, as they are found.

    Links to folders are followed, each folder once; ``.git`` and the folders in ``skip`` (such as
    the warehouse itself) are passed over. What is neither file nor link (a pipe, a device) is no
    source of anything and is never opened.
    """
    seen = {os.path.realpath(folder) for folder in skip}
    for index, source in enumerate(sources):
        if source.is_remote or source.fault or source.is_archive:
            continue
        paths = (
            [source.only]
            if source.only is not None
            else _walk(source.folder, os.path.realpath(source.folder), "", seen)
        )
        for path in paths:
            yield look(index, f"{source.folder}/{path}", path)


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Entries in the order of source and path, which every later stage keeps."""
    return sorted(entries, key=lambda entry: (entry.source, entry.path))


def look(source: int, full: str, path: str, index: IndexRole | None = None) -> Entry:
    """The entry of one file, whatever it is."""
    try:
        path.encode()
    except UnicodeEncodeError:  # a file name that is no UTF-8: told as a reject under a name that is
        return Entry(source, os.fsencode(path).decode("utf-8", "backslashreplace"), b"", index)
    try:
        status = os.stat(full)
    except OSError:
        return Entry(source, path, b"", index)
    # Times may lie before 1970, and an inode may fill 64 bits.
    signature = _SIGNATURE.pack(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    return Entry(source, path, signature, index)


def _walk(folder: str, real: str, prefix: str, seen: set[str]) -> Iterator[str]:
    """Relative paths of the files below a folder, and of folders that cannot be listed.

    ``real`` is the folder's path without links; ``seen`` are the real paths that are not entered,
    to which those of linked folders are added.
    """
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
                yield from _walk(entry.path, below, path + "/", seen)
        elif entry.is_file(follow_symlinks=False):
            yield path
        elif entry.is_symlink():
            # Not entry.is_dir(), which fails where links lead in a circle.
            if not os.path.isdir(entry.path):
                yield path
                continue
            target = os.path.realpath(entry.path)
            # A link back up would be followed for ever.
            if target not in seen and not f"{real}/".startswith(f"{target}/"):
                seen.add(target)
                yield from _walk(entry.path, target, path + "/", seen)


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


SCHEMES = ("https", "http", "s3")


def is_url(source: str) -> bool:
    """Whether a source is a URL that can be fetched from."""
    try:
        return urlsplit(source).scheme in SCHEMES and "://" in source
    except ValueError:
        return False


def show_url(url: str) -> str:
    """A URL without what may be secret: user, password, query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


YAML_SUFFIXES = (".yaml", ".yml")
MISSING = "no such file or folder"


def find_sources(named: Sequence[str | Path | Source]) -> list[Source]:
    """The sources that are named, each once; one may be a source already.

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
    return list_once(sources)


def list_once(sources: Iterable[Source]) -> list[Source]:
    """Each source once, however its path is spelt."""
    return list({(one.folder, one.only, one.snapshot, one.stack): one for one in reversed([*sources])}.values())[::-1]


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
        if is_url(source):
            return [Source(source.rstrip("/"), None, snapshot, stack)]
        if "://" in source:
            raise SourceError(f"{source}: is no URL of https, http or s3")
        full, written = os.path.abspath(source), os.path.normpath(source)
        self.written[full] = written
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
        from pipeline.settings import SettingsFile, SourcesFile
        from pipeline.yamlvalues import read_text

        real = os.path.realpath(path)
        if real in self._within:
            raise SourceError(f"{path}: names itself as a source, if only by another file")
        file = SettingsFile(read_text(path), str(path), path.parent)
        self._within.append(real)
        read = file.read(SourcesFile)
        sources = self.read_entries(file, read.sources if read is not None else ())
        self._within.pop()
        self.faults += file.list_faults()
        return sources

    def read_entries(self, file: SettingsFile, entries: Sequence[NamedSource | None]) -> list[Source]:
        """The sources that the entries of a file name; what is wrong with them is added to the file's faults."""
        return [source for entry in entries if entry is not None for source in self.read_entry(file, entry)]

    def read_entry(self, file: SettingsFile, entry: NamedSource) -> list[Source]:
        source = entry.url or str(file.folder / (entry.path or ""))
        if entry.url is not None and not is_url(source):
            file.refuse(entry.line, f"url: is no URL of https, http or s3: {source}")
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
