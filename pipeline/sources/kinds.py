"""What a source is where it is neither a page nor a build cache: said in one line of plain words."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from pipeline.sources.files import Entry, Source

INSTALL_DATABASE = "is an install database and no build cache"
"""``.spack-db/index.json`` of an install tree has the form of an index, and says what is installed there."""
HTML = "is an HTML page (a login page?)"
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_INDEX = re.compile(r"(?:^|/)(?:build_cache/index\.json|v3/manifests/index/(?:.+/)?index\.manifest\.json)$")
_OF_A_CACHE = re.compile(r"(?:^|/)(?:build_cache|v3/manifests|blobs/sha256)/")
_OF_A_SOURCE_MIRROR = re.compile(r"(?:^|/)_source-cache/")
_OF_AN_INSTALL_TREE = re.compile(r"(?:^|/)\.spack-db/index\.json$")
_OF_AN_OCI_LAYOUT = re.compile(r"(?:^|/)oci-layout$")
UPDATE = "no index is in it; whoever keeps it runs spack buildcache update-index"


def is_html(data: bytes) -> bool:
    """Whether bytes begin as an HTML page does."""
    return _HTML.match(data[:4096]) is not None


def is_install_database(path: str) -> bool:
    """Whether a path is where Spack keeps what it has installed."""
    return _OF_AN_INSTALL_TREE.search(path) is not None


def explain_no_json(data: bytes, reason: str) -> str:
    """Why bytes are not JSON: the decoder's ``reason``, or what they are where that is known."""
    if not data.strip():
        return "is empty"
    if is_html(data):
        return HTML
    return f"is no JSON: {reason}"


def explain_empty(source: Source, entries: Iterable[Entry]) -> str:
    """Why a source gave neither a page nor an index, in one line without the source's name.

    ``entries`` are all files of the source, as :func:`pipeline.sources.files.scan` lists them; of a remote source
    there are none.
    """
    if source.is_remote:
        return "lists no build cache that was chosen"
    paths = [entry.path for entry in entries]
    if any(is_install_database(f"{source.folder}/{path}") for path in paths):
        return INSTALL_DATABASE
    for shape, reason in (
        (_INDEX, "none of its build caches was chosen"),
        (_OF_AN_OCI_LAYOUT, "none of its build caches was chosen"),
        (_OF_A_CACHE, f"is a build cache, but {UPDATE}"),
        (_OF_A_SOURCE_MIRROR, "is a source mirror, which holds sources and no binaries"),
    ):
        if any(shape.search(path) for path in paths):
            return reason
    if source.only is not None:
        return "is neither a page nor an index, and no listing"
    if not paths:
        return "is an empty folder"
    names = sorted(posixpath.basename(path) for path in paths)
    first = names[0] if names[0].isprintable() else repr(names[0])
    more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
    return f"is a folder without page, index and listing; in it are {first}{more}"
