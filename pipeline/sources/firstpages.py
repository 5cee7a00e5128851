"""The first pages of cache.spack.io, of 2021, and the spec files that lie beside each.

::

    _cache/PKG/index.md         front matter with spec_files: a list of {"SPEC TEXT": spec-N.json}, and no snapshot
    _cache/PKG/spec-0.json, …   a spec file for each binary of the package, with all that it depends on

A page and its spec files are one entry: what changes one of them changes the entry's signature.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
from collections import defaultdict
from collections.abc import Sequence

from pipeline.errors import Fault
from pipeline.sources.buildcache import Choice
from pipeline.sources.files import Entry, Source, cover, look, read_small_bytes

FIRST_PAGES = "first-pages"
"""The snapshot of first pages for which the user names none."""
LATER_PAGE = "specs.md"
"""The page of the later generations: a first page beside one does not count."""
PAGE_SUFFIX = ".md"
"""What a site's pages are named by."""
_SPEC_FILE = re.compile(r"spec-\d+\.json")


def name_first_pages(source: Source, choice: Choice) -> str:
    """The snapshot of a source's first pages: as the source or the one chosen snapshot names it."""
    return source.snapshot or choice.names[0] or FIRST_PAGES


def join_spec_files(sources: Sequence[Source], entries: Sequence[Entry], choice: Choice) -> Sequence[Entry]:
    """``entries`` in which pages cover the spec files beside them, which are no entries of their own any more."""
    beside: dict[tuple[int, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.index is None and entry.path.endswith(".json") and _is_spec_file(entry.path):
            beside[_place(entry)].append(entry)
    for number, source in enumerate(sources):
        if source.only is not None and source.only.endswith(PAGE_SUFFIX) and not source.fault:
            with contextlib.suppress(OSError):  # The page itself says what is wrong.
                names = filter(_is_spec_file, os.listdir(source.folder))
                beside[number, ""] += [look(number, f"{source.folder}/{name}", name) for name in names]
    pages = {_place(entry) for entry in entries if beside and entry.path.endswith(PAGE_SUFFIX)} & beside.keys()
    if not pages:
        return entries
    joined = []
    for entry in entries:
        if (place := _place(entry)) not in pages or not (entry.path.endswith(PAGE_SUFFIX) or _is_spec_file(entry.path)):
            joined.append(entry)
        elif entry.path.endswith(PAGE_SUFFIX):
            source = sources[entry.source]
            later = os.path.lexists(posixpath.join(source.folder, place[1], LATER_PAGE))
            joined.append(cover(entry, beside[place], f"{name_first_pages(source, choice)} {later}"))
    return joined


def _place(entry: Entry) -> tuple[int, str]:
    return entry.source, posixpath.dirname(entry.path)


def _is_spec_file(path: str) -> bool:
    return _SPEC_FILE.fullmatch(posixpath.basename(path)) is not None


def has_later_page(page: str) -> bool:
    """Whether a page of a later generation lies beside the first page at the path ``page``."""
    folder, name = os.path.split(page)
    return name != LATER_PAGE and os.path.lexists(os.path.join(folder, LATER_PAGE))


def read_spec_bytes(page: str, name: str) -> bytes:
    """The bytes of a spec file that the first page at the path ``page`` names.

    Raises:
        Fault: it is no spec file beside the page, or cannot be read.
    """
    if not _SPEC_FILE.fullmatch(name):
        raise Fault("", f"names {name[:80]!r}, which is no spec-N.json beside the page")
    try:
        return read_small_bytes(os.path.join(os.path.dirname(page), name))
    except FileNotFoundError:
        raise Fault("", f"{name} is missing") from None
    except (OSError, ValueError) as error:
        raise Fault("", f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None
