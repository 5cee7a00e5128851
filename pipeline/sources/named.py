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
from collections.abc import Sequence
from pathlib import Path

import yaml

from pipeline.errors import FileFaultsError, SourceError
from pipeline.nodes import compose, is_null, line_of, read_text, show_node
from pipeline.sources.files import Source, is_url

KEYS = ("name", "url", "path", "snapshot", "stack")
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
    return list(dict.fromkeys(sources))


def read_sources(path: Path) -> list[Source]:
    """The sources that a YAML file names.

    Raises:
        FileFaultsError: it is no such file: ``file:line: what is wrong``, a line for each fault.
    """
    reader = SourceReader()
    sources = reader.read_file(path)
    if reader.faults:
        raise FileFaultsError(reader.faults)
    return sources


class SourceReader:
    """Finds sources, and goes on after a fault of a file that names some.

    ``faults`` are lines; ``missing`` are those of them that tell of a path that cannot be found or read.
    ``written`` has the paths as they were written, by the absolute ones. ``within`` is the file that is
    being read, if any.
    """

    def __init__(self, within: Path | None = None) -> None:
        self.faults: list[str] = []
        self.missing: list[str] = []
        self.written: dict[str, str] = {}
        self._within = [os.path.realpath(within)] if within is not None else []

    def find(self, source: str, snapshot: str | None = None, stack: str | None = None) -> list[Source]:
        """The sources that a path or URL stands for.

        Raises:
            SourceError: it is none that can be read.
            OSError: it cannot be found or read.
        """
        if is_url(source):
            return [Source(source.rstrip("/"), None, snapshot, stack)]
        if "://" in source:
            raise SourceError(f"{source}: is no URL of https, http or s3")
        if not os.path.lexists(source):
            raise SourceError(f"{source}: {MISSING}")
        full = os.path.abspath(source)
        self.written[full] = os.path.normpath(source)
        if os.path.isdir(full):
            return [Source(full, None, snapshot, stack)]
        if full.endswith(YAML_SUFFIXES) and snapshot is None and stack is None:
            return self.read_file(Path(source))
        return [Source(*os.path.split(full), snapshot, stack)]

    def read_file(self, path: Path) -> list[Source]:
        """The sources that a YAML file names.

        Raises:
            FileFaultsError: it is no YAML.
            SourceError: it is being read already.
            OSError: it cannot be read.
        """
        real = os.path.realpath(path)
        if real in self._within:
            raise SourceError(f"{path}: names itself as a source, if only by another file")
        document = compose(read_text(path), str(path))
        self._within.append(real)
        nodes = _list_sources(path, document, self.faults)
        sources = [source for node in nodes for source in self.read_source(path, node, path.parent)]
        self._within.pop()
        return sources

    def read_source(self, path: Path, node: yaml.Node, folder: Path) -> list[Source]:
        """The sources that one source of the file ``path`` names; paths in it are relative to ``folder``."""
        given = _read_keys(path, node, self.faults)
        if given is None:
            return []
        place = f"{path}:{line_of(node)}"
        source = given.get("url") or str(folder / given["path"])
        if "url" in given and not is_url(source):
            self.faults.append(f"{place}: url: is no URL of https, http or s3: {source}")
            return []
        if "path" in given and not os.path.lexists(source):
            self._miss(f"{place}: {source}: {MISSING}")
            return []
        try:
            return self.find(source, given.get("snapshot"), given.get("stack"))
        except FileFaultsError as error:
            self.faults += error.faults
        except SourceError as error:
            self.faults.append(f"{place}: {error}")
        except OSError as error:
            self._miss(f"{place}: {source}: {error.strerror or error}")
        return []

    def _miss(self, fault: str) -> None:
        self.faults.append(fault)
        self.missing.append(fault)


def _list_sources(path: Path, document: yaml.Node | None, faults: list[str]) -> list[yaml.Node]:
    """The nodes of the list ``sources``."""
    if not isinstance(document, yaml.MappingNode):
        faults.append(f"{path}:1: is no file of sources: it has no key 'sources'")
        return []
    nodes: list[yaml.Node] | None = None
    for key, value in document.value:
        if key.value != "sources":
            faults.append(f"{path}:{line_of(key)}: unknown key {show_node(key)}; known is 'sources'")
        elif not isinstance(value, yaml.SequenceNode) or not value.value:
            faults.append(f"{path}:{line_of(value)}: sources: is not a list of sources")
            nodes = []
        else:
            nodes = value.value
    if nodes is None:
        faults.append(f"{path}:1: is no file of sources: it has no key 'sources'")
    return nodes or []


def _read_keys(path: Path, node: yaml.Node, faults: list[str]) -> dict[str, str] | None:
    """What a source of the file ``path`` gives, None where something is wrong in it."""
    line = f"{path}:{line_of(node)}"
    if not isinstance(node, yaml.MappingNode):
        faults.append(f"{line}: is no source: it is not a mapping")
        return None
    given: dict[str, str] = {}
    before = len(faults)
    for key, value in node.value:
        place = f"{path}:{line_of(key)}"
        if key.value not in KEYS:
            faults.append(f"{place}: unknown key {show_node(key)}; known are {', '.join(KEYS)}")
        elif key.value in given:
            faults.append(f"{place}: {key.value}: is given a second time")
        elif not isinstance(value, yaml.ScalarNode) or not value.value or is_null(value):
            faults.append(f"{place}: {key.value}: is not a text")
        elif not value.value.isprintable():
            # It would be two lines in a message, or none.
            faults.append(f"{place}: {key.value}: {value.value!r} cannot be printed")
        else:
            given[key.value] = value.value
    if len(faults) == before and ("url" in given) == ("path" in given):
        faults.append(f"{line}: needs one of url and path")
    return given if len(faults) == before else None
