"""What to build from: the paths, URLs and YAML files of the command line, as sources.

A YAML file of sources names mirrors that nothing else names::

    sources:
      - name: site                          # for people
        url: https://mirror.example.org/e4s # or path: relative to this file
        snapshot: site-2025                 # both optional: else the last two folders name them
        stack: e4s
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from pipeline.errors import FileFaultsError, SourceError
from pipeline.nodes import compose, read_text
from pipeline.source import Root
from pipeline.urls import is_url

KEYS = ("name", "url", "path", "snapshot", "stack")
YAML_SUFFIXES = (".yaml", ".yml")


def find_roots(sources: Sequence[str | Path | Root]) -> list[Root]:
    """The sources as given, each once; a root is one already.

    Raises:
        SourceError: one does not exist.
        FileFaultsError: a YAML file of sources is wrong.
    """
    return list(
        dict.fromkeys(
            root for source in sources for root in ([source] if isinstance(source, Root) else _find(str(source)))
        )
    )


def _find(source: str, snapshot: str | None = None, stack: str | None = None) -> Iterator[Root]:
    if is_url(source):
        yield Root(source.rstrip("/"), None, snapshot, stack)
        return
    if "://" in source:
        raise SourceError(f"{source}: only https, http and s3 can be fetched from")
    if not os.path.lexists(source):
        raise SourceError(f"{source}: no such file or folder")
    full = os.path.abspath(source)
    if os.path.isdir(full):
        yield Root(full, None, snapshot, stack)
    elif full.endswith(YAML_SUFFIXES) and snapshot is None and stack is None:
        yield from read_sources(Path(source))
    else:
        yield Root(*os.path.split(full), snapshot, stack)


def read_sources(path: Path) -> list[Root]:
    """The sources that a YAML file names.

    Raises:
        FileFaultsError: it is no such file: ``file:line: what is wrong``, a line for each fault.
    """
    document = compose(read_text(path), str(path))
    roots: list[Root] = []
    faults: list[str] = []
    for node in _list_sources(path, document, faults):
        roots += read_source(path, node, faults, path.parent)
    if faults:
        raise FileFaultsError(faults)
    return roots


def _list_sources(path: Path, document: yaml.Node | None, faults: list[str]) -> list[yaml.Node]:
    """The nodes of the list ``sources``."""
    if not isinstance(document, yaml.MappingNode):
        faults.append(f"{path}:1: is no file of sources: it has no key 'sources'")
        return []
    nodes: list[yaml.Node] | None = None
    for key, value in document.value:
        if key.value != "sources":
            faults.append(f"{path}:{key.start_mark.line + 1}: unknown key {key.value!r}; known is 'sources'")
        elif not isinstance(value, yaml.SequenceNode) or not value.value:
            faults.append(f"{path}:{value.start_mark.line + 1}: sources: is not a list of sources")
            nodes = []
        else:
            nodes = value.value
    if nodes is None:
        faults.append(f"{path}:1: is no file of sources: it has no key 'sources'")
    return nodes or []


def read_source(path: Path, node: yaml.Node, faults: list[str], folder: Path) -> list[Root]:
    """The roots that one source of the file ``path`` names; paths in it are relative to ``folder``.

    What is wrong in it is added to ``faults``.
    """
    line = f"{path}:{node.start_mark.line + 1}"
    if not isinstance(node, yaml.MappingNode):
        faults.append(f"{line}: is no source: it is not a mapping")
        return []
    given: dict[str, str] = {}
    before = len(faults)
    for key, value in node.value:
        place = f"{path}:{key.start_mark.line + 1}"
        if key.value not in KEYS:
            faults.append(f"{place}: unknown key {key.value!r}; known are {', '.join(KEYS)}")
        elif key.value in given:
            faults.append(f"{place}: {key.value}: is given a second time")
        elif not isinstance(value, yaml.ScalarNode) or not value.value or value.tag.endswith(":null"):
            faults.append(f"{place}: {key.value}: is not a text")
        else:
            given[key.value] = value.value
    if len(faults) == before and ("url" in given) == ("path" in given):
        faults.append(f"{line}: needs one of url and path")
    if len(faults) > before:
        return []
    source = given.get("url") or str(folder / given["path"])
    if "url" in given and not is_url(source):
        faults.append(f"{line}: url: is no URL of https, http or s3: {source}")
        return []
    try:
        return list(_find(source, given.get("snapshot"), given.get("stack")))
    except SourceError as error:
        faults.append(f"{line}: {error}")
        return []
