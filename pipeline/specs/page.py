"""From a page's bytes to its front matter: pure functions, no I/O.

A page of cache.spack.io is YAML front matter whose ``meta`` and ``spec_details`` are JSON on one
line each. A page in the very shape that the site's generator writes is cut by its line ends, and
needs no YAML parser at all. Of any other those two lines, nearly all of the bytes, are lifted out as
they stand and decoded natively later, and only what remains is YAML: read by PyYAML, safely and
within limits.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import yaml

from pipeline.errors import Fault
from pipeline.sources.files import BOM
from pipeline.sources.firstpages import FIRST_PAGES

LARGEST_YAML = 4 * 2**20
"""Bytes of front matter that PyYAML may read: it takes 0.2 s and 100 MB for each MiB."""
DEEPEST_YAML = 50
LARGEST_EXPANSION = 10
"""How many times its own number of nodes a YAML document may have after its aliases are followed."""

LONGEST_RAW = 4096
"""Characters of a page that are kept in its reject."""

_OPENING = re.compile(rb"---[ \t]*(?:\r?\n|\Z)")
_CLOSING = (b"---", b"...")
_LIFTED = (b"meta: ", b"spec_details: ")
_SPEC_FILES = b"spec_files:"
_ITEM = b"- "
_MARK = b"lifted"
_RAW = msgspec.json.Decoder(msgspec.Raw)
_GENERATED = re.compile(
    rb'---\ntitle: "([ !#-\[\]-~]+)"\nlayout: [a-z]+\ncategories: \[package, ([\w.-]+)\]\nmeta: (?=\{)'
)
_DETAILS = b"\nspec_details: "


@dataclass(frozen=True)
class Page:
    """A page's front matter.

    ``meta`` and ``spec_details`` are JSON text (``bytes``) where the page has them so, and what
    PyYAML made of them where it does not. ``meta`` is None where the page has none.

    A page of 2021 has ``spec_files``, the names of files beside it, and no ``spec_details``, which are None.
    """

    package: str
    snapshot: str
    meta: bytes | object
    spec_details: bytes | object
    spec_files: list[str] | None = None


def parse_page(data: bytes, first_pages: str = FIRST_PAGES) -> Page | None:
    """The page in ``data``, or None where it is no page; ``first_pages`` is the snapshot of those that name none.

    A page opens with ``---`` and its front matter has a key ``spec_details``, or ``spec_files``.

    Raises:
        Fault: it is a page (or an empty file, which a page may have been) and cannot be read.
    """
    if not data:
        raise Fault("file", "is empty")
    page = read_generated(data)
    if page is not None:
        return page
    start = len(BOM) if data.startswith(BOM) else 0
    if not _OPENING.match(data, start):
        return None
    # In lines once, since all that follows goes by lines; the first is the opening "---".
    front = split_front_matter(data, start)[1:]
    is_first = any(line.startswith(_SPEC_FILES) for line in front)
    if not is_first and not any(b"spec_details" in line for line in front):
        return None
    try:
        for number, line in enumerate(front):
            check_text(line, number + 2)
        return (read_first_page(front, first_pages) if is_first else None) or read_front_matter(front)
    except Fault as fault:
        if fault.raw is None:
            fault.raw = b"\n".join(front)[: LONGEST_RAW * 4].decode("utf-8", "replace")[:LONGEST_RAW]
        raise


def read_generated(data: bytes) -> Page | None:
    """The page that is written as cache.spack.io's generator writes it, without YAML; None for any other."""
    head = _GENERATED.match(data)
    if head is None or not data.isascii():
        return None
    title, snapshot = head[1].decode(), head[2].decode()
    middle = data.find(b"\n", head.end())
    start = middle + len(_DETAILS)
    end = data.find(b"\n", start)
    closing = data[end : end + 5]
    if not data.startswith(_DETAILS + b"[", middle) or closing not in (b"\n---", b"\n---\n") or b"\0" in data:
        return None
    meta, details = data[head.end() : middle], data[start:end]
    if not is_plain_text(snapshot) or not is_json(meta) or not is_json(details):
        return None
    return Page(title, snapshot, meta, details)


def split_front_matter(data: bytes, start: int) -> list[bytes]:
    """The lines from ``start`` to the line ``---`` or ``...`` that ends the front matter, or to the end.

    Raises:
        Fault: what is left for YAML, the JSON lines apart, is too large.
    """
    lines: list[bytes] = []
    for_yaml = 0
    while start <= len(data):
        end = data.find(b"\n", start)
        line = data[start : end if end >= 0 else len(data)]
        if lines and line[:3] in _CLOSING and not line[3:].strip(b" \t\r"):
            break
        lines.append(line)
        if not line.startswith(_LIFTED):
            for_yaml += len(line) + 1
            if for_yaml > LARGEST_YAML and b"spec_details" in data:
                raise Fault("front matter", f"is no JSON, and with more than {for_yaml:,} bytes too large for YAML")
        if end < 0:
            break
        start = end + 1
    return lines


def check_text(line: bytes, number: int) -> None:
    """Refuse what is no text: NUL bytes and invalid UTF-8, named by the line and the byte in it.

    Raises:
        Fault: with the line as its place; bytes count from 1.
    """
    nul = line.find(b"\0")
    if nul >= 0:
        raise Fault(f"line {number}", f"holds a NUL byte, its byte {nul + 1:,}")
    if not line.isascii():
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Fault(f"line {number}", f"is no UTF-8 at its byte {error.start + 1:,}: {error.reason}") from None


def read_front_matter(front: Sequence[bytes]) -> Page | None:
    """The page of a front matter: by lifting its JSON lines, or else by YAML alone.

    Raises:
        Fault: it is no YAML, or a key stands in it twice.
    """
    lifted: dict[str, bytes] = {}
    head: list[bytes] = []
    for line in front:
        if line.startswith(_LIFTED):
            name, _, value = line.partition(b": ")
            key, value = name.decode(), value.strip(b" \t\r")
            if key in lifted:
                raise Fault(key, "stands twice in the front matter")
            if value[:1] in (b"[", b"{") and is_json(value):
                lifted[key] = value
                line = name + b": " + _MARK
        head.append(line)
    if "spec_details" in lifted:
        # A mark stands where a line was lifted: had the line been part of a multi-line scalar,
        # its mark would not come back as the value of a top-level key.
        keys = load_yaml(b"\n".join(head).decode())
        if all(keys.get(key) == _MARK.decode() for key in lifted):
            return _make_page({**keys, **lifted})
    keys = load_yaml(b"\n".join(front).decode())
    return _make_page(keys) if "spec_details" in keys else None


def read_first_page(front: Sequence[bytes], snapshot: str) -> Page | None:
    """The page of 2021, of ``snapshot``, of a front matter; None where it has ``spec_details`` too, which count.

    The items of ``spec_files`` stand on a line each, ``- "SPEC TEXT": NAME``. Their texts are longer than YAML lets a
    key be on one line (1,024 characters), and of all that they say the spec file says more: only the name is taken.

    Raises:
        Fault: ``spec_files`` is no such list.
    """
    start = next(number for number, line in enumerate(front) if line.startswith(_SPEC_FILES))
    end = start + 1
    while end < len(front) and front[end].lstrip(b" ").startswith(_ITEM):
        end += 1
    keys = load_yaml(b"\n".join([*front[: start + 1], *front[end:]]).decode())
    if "spec_details" in keys:
        return None
    if keys.get("spec_files") or (keys["spec_files"] is None and end == start + 1):
        raise Fault("spec_files", "is no list of spec files, each on a line of its own")
    items = [line.decode().rpartition(": ")[2].strip(" \t\r'\"") for line in front[start + 1 : end]]
    return _make_page(keys, snapshot, items)


def is_json(text: bytes) -> bool:
    """Whether ``text`` is JSON, without making objects of it."""
    try:
        _RAW.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


@functools.lru_cache(maxsize=4096)
def is_plain_text(word: str) -> bool:
    """Whether YAML 1.1 reads the unquoted ``word`` as a string (``1.0`` and ``no`` it does not)."""
    tag = yaml.resolver.Resolver().resolve(yaml.ScalarNode, word, (True, False))  # type: ignore[no-untyped-call]
    return word[0].isalnum() and bool(tag == "tag:yaml.org,2002:str")


def _make_page(keys: Mapping[str, Any], snapshot: str | None = None, spec_files: list[str] | None = None) -> Page:
    """The page of a front matter; ``snapshot`` is that of a page that names none."""
    named = _find_snapshot(keys.get("categories"))
    page = Page(
        package=keys.get("title"),  # type: ignore[arg-type]
        snapshot=snapshot if named is None else named,  # type: ignore[arg-type]
        meta=keys.get("meta"),
        spec_details=keys.get("spec_details"),
        spec_files=spec_files,
    )
    for place, name in (("title", page.package), ("categories[1]", page.snapshot)):
        reason = None
        if name is None:
            reason = "is missing"
        elif not isinstance(name, str) or not name:
            reason = f"is not a name: {name!r}"
        elif "\0" in name:
            reason = "holds a NUL character"
        if reason:
            raise Fault(place, reason, specs=count_records(page.spec_details))
    return page


def _find_snapshot(categories: object) -> object:
    """The second category; the first is the word ``package``."""
    return categories[1] if isinstance(categories, list) and len(categories) > 1 else None


def count_records(spec_details: bytes | object) -> int | None:
    """How many specs stand in ``spec_details``; None where it is not a list."""
    if isinstance(spec_details, bytes):
        spec_details = msgspec.json.decode(spec_details)
    return len(spec_details) if isinstance(spec_details, list) else None


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader, which also refuses a key given twice (YAML 1.1, section 3.2.1.3)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise Fault(_place(key.start_mark), f"gives the key {key.value!r} a second time")
                seen.add(key.value)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


def load_yaml(text: str) -> dict[str, Any]:
    """The mapping in ``text``, by PyYAML's safe loader.

    Raises:
        Fault: it is no valid YAML, no mapping, too large, nested too deeply, or its aliases
            expand to far more than it holds ("billion laughs"); ``place`` names the line.
    """
    if len(text) > LARGEST_YAML:
        raise Fault("front matter", f"is no JSON, and with {len(text):,} characters too large for YAML")
    try:
        check_nesting(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            check_expansion(node)
            loaded = loader.construct_document(node) if node is not None else None
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise Fault(_place(mark), f"is no valid YAML: {' '.join(problem.split())}") from None
    except (ValueError, RecursionError) as error:  # such as the date 2025-13-45
        raise Fault("front matter", f"holds a value that YAML cannot make: {error}") from None
    if not isinstance(loaded, dict):
        raise Fault("front matter", "is not a mapping of keys to values")
    return loaded


def check_nesting(text: str) -> None:
    """Refuse deep nesting from the stream of events, before anything recurses into it.

    Raises:
        Fault: it is nested too deeply; the place is a line.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST_YAML:
                raise Fault(_place(event.start_mark), f"is nested more than {DEEPEST_YAML} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def check_expansion(root: yaml.Node | None) -> None:
    """Refuse aliases that stand for far more nodes than the document spells out, or for themselves.

    Raises:
        Fault: they do.
    """
    sizes: dict[int, int | None] = {}

    def count(node: yaml.Node) -> int:
        known = sizes.get(id(node), 0)
        if known is None:
            raise Fault(_place(node.start_mark), "is an alias of something that holds it")
        if known:
            return known
        sizes[id(node)] = None
        size = 1
        if isinstance(node, yaml.MappingNode):
            size += sum(count(key) + count(value) for key, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            size += sum(map(count, node.value))
        sizes[id(node)] = size
        return size

    if root is not None and count(root) > 1000 + LARGEST_EXPANSION * len(sizes):
        raise Fault("front matter", "has aliases that expand to far more than it holds")


def _place(mark: Any) -> str:
    # The mark counts from the line below the opening "---", and from 0.
    return "front matter" if mark is None else f"line {mark.line + 2}"
