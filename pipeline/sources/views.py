"""Index views, from Spack 1.2: indexes of parts of a build cache, each a stack by its name.

They stand beside the index of the whole, or alone (spack/spack#51213)::

    MIRROR/v3/manifests/index/index.manifest.json           of the whole
    MIRROR/v3/manifests/index/VIEW/index.manifest.json      of a view, whose name may hold a slash
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

import msgspec

from pipeline.errors import Fault
from pipeline.schema import ROOT
from pipeline.sources.files import Entry, make_readable, read_index_bytes, unpack

_VIEW = re.compile(r"(?:^|/)v3/manifests/index/(.+)/index\.manifest\.json")


class _Record(msgspec.Struct, gc=False):
    in_buildcache: bool | None = None


class _Database(msgspec.Struct, gc=False):
    installs: dict[str, _Record]


class _File(msgspec.Struct, gc=False):
    database: _Database


_FILE = msgspec.json.Decoder(_File)


def read_view(manifest: str) -> str:
    """The name of the view that the path of a manifest is of; empty where it is of none."""
    found = _VIEW.search(manifest)
    return make_readable(found[1]) if found else ""


def choose_files(files: Sequence[str], stack: str | None) -> list[str]:
    """Those of a mirror's ``files`` that are its index for one ``stack``: a view of that name, else the whole.

    A name that is no view's is the user's for the whole index, beside which no view counts. All of them where
    ``stack`` is None.

    Raises:
        ValueError: no view has this name, and there is no index of the whole.
    """
    if stack is None:
        return list(files)
    views = {read_view(file): file for file in files}
    if stack in views:
        return [views[stack]]
    if whole := [file for file in files if not read_view(file)]:
        return whole
    raise ValueError(f"has no view {stack!r} and no index of the whole; its views are {', '.join(sorted(views))}")


def name_whole(folder: str, whole: Iterable[Entry], views: Iterable[Entry]) -> list[Entry]:
    """The indexes ``whole`` of one mirror as ``root`` where they hold all that its ``views`` hold, else as they are.

    ``folder`` is the source's. An index that cannot be read proves nothing, and is a reject when it is loaded.
    """
    whole = list(whole)
    held: set[str] = set()
    wanted: set[str] = set()
    try:
        for entry in whole:
            held |= _read_hashes(folder, entry)
        for entry in views:
            wanted |= _read_hashes(folder, entry)
    except (Fault, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return whole
    if not wanted <= held:
        return whole
    return [
        entry
        if entry.index is None
        else msgspec.structs.replace(entry, index=msgspec.structs.replace(entry.index, stack=ROOT))
        for entry in whole
    ]


def _read_hashes(folder: str, entry: Entry) -> set[str]:
    """The hashes of what an index says is in the build cache."""
    role = entry.index
    if role is None or role.fault:
        raise Fault("file", "cannot be read")
    data, _ = read_index_bytes(os.path.join(folder, role.file or entry.path))
    installs = _FILE.decode(unpack(data)).database.installs
    return {hash for hash, record in installs.items() if record.in_buildcache}
