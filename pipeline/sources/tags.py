"""The stacks that each snapshot should have, as the site of cache pages lists them beside its pages.

::

    SITE/_data/tags.yaml       [{name: SNAPSHOT, stacks: [STACK, …]}, …]
    SITE/_cache/…              the pages

It is read for a source that is the site, or its ``_cache``. It adds to what is known: where it is damaged, that is a
line, and all else is loaded.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from pipeline.errors import FileFaultsError
from pipeline.sources.files import Source, read_small_bytes
from pipeline.yamlfiles.values import Keyed, line_of, read_values

TAGS = "_data/tags.yaml"
PAGES_FOLDER = "_cache"
LARGEST = 2**20
"""Bytes; the site's has 17 kB."""
MOST_ROWS = 100_000
"""Of a snapshot and a stack; the site's has 1,500."""


class Tags(msgspec.Struct, frozen=True, array_like=True):
    """What files of tags say: ``rows`` of a snapshot and a stack, each once, in text order.

    ``sha256`` is that of the files, empty where there is none; ``warnings`` are lines on what of them is damaged.
    """

    sha256: str = ""
    rows: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()


NO_TAGS = Tags()


def read_tags(sources: Iterable[Source], before: Tags = NO_TAGS) -> Tags:
    """The tags beside the pages of the sources; those read ``before`` where their files are the same."""
    files: dict[str, bytes] = {}
    warnings = []
    for path in dict.fromkeys(path for source in sources for path in _find_files(source)):
        try:
            files[path] = read_small_bytes(path)
        except (OSError, ValueError) as error:
            warnings.append(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}")
    digest = hashlib.sha256()
    for path, data in files.items():
        digest.update(os.fsencode(path) + b"\0" + hashlib.sha256(data).digest())
    sha256 = digest.hexdigest() if files else ""
    if sha256 == before.sha256 and not warnings:
        return before
    rows: set[tuple[str, str]] = set()
    for path, data in files.items():
        try:
            rows.update(parse_tags(data, path, warnings))
        except FileFaultsError as error:
            warnings += error.faults
    return Tags(sha256, sorted(rows), warnings)


def _find_files(source: Source) -> Iterator[str]:
    """Where the tags of a source may be: those that are there."""
    if source.is_remote or source.only is not None:
        return
    above, name = os.path.split(source.folder)
    for folder in (source.folder, *([above] if name == PAGES_FOLDER else [])):
        if os.path.lexists(path := os.path.join(folder, TAGS)):
            yield path


def parse_tags(data: bytes, name: str, warnings: list[str]) -> Iterator[tuple[str, str]]:
    """The snapshots and stacks of a file of tags; a line on each entry that is none is added to ``warnings``.

    Raises:
        FileFaultsError: it is too large, or no list in YAML.
    """
    if len(data) > LARGEST:
        raise FileFaultsError([f"{name}: is larger than {LARGEST // 2**20} MiB"])
    try:
        entries = read_values(data.decode(), name)
    except UnicodeDecodeError:
        raise FileFaultsError([f"{name}: is not UTF-8 text"]) from None
    if not isinstance(entries, list):
        raise FileFaultsError([f"{name}: is no list of snapshots"])
    count = 0
    wrong: list[int] = []
    for entry in entries:
        stacks = entry.get("stacks") if isinstance(entry, Keyed) else None
        if not isinstance(stacks, list) or not all(map(_is_name, (entry.get("name"), *stacks[:MOST_ROWS]))):
            wrong.append(line_of(entry))
            continue
        count += len(stacks)
        if count > MOST_ROWS:
            raise FileFaultsError([f"{name}:{line_of(entry)}: lists more than {MOST_ROWS:,} stacks of snapshots"])
        yield from ((str(entry["name"]), str(stack)) for stack in stacks)
    if wrong:
        more = f", and {len(wrong) - 1:,} more entries are none" if len(wrong) > 1 else ""
        warnings.append(f"{name}:{wrong[0]}: is no snapshot with a name and a list of stacks{more}")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and bool(value)
