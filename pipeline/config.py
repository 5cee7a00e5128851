"""The file of a scheduled run: what to build from, what to hold it to, what to report, whom to tell.

``examples/coverage.yaml`` explains each key. Paths in the file are relative to it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from pipeline.ask.gates import Gates, build_gates, read_gates
from pipeline.errors import FileFaultsError
from pipeline.layout import PUBLISHED, Layout
from pipeline.nodes import NodeReader, compose, is_null, line_of, read_text, show_node
from pipeline.report.export import DEFAULT_FORMATS, FORMATS
from pipeline.sources.buildcache import ALL, Choice
from pipeline.sources.files import Source
from pipeline.sources.named import SourceReader

KEYS = (
    "sources",
    "warehouse",
    "cache",
    "offline",
    "jobs",
    "snapshots",
    "stacks",
    "strict",
    "gates",
    "reports",
    "notify",
    "log",
)
LOG_FORMATS = ("text", "json")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Reports:
    """Which reports to write, and how many snapshots' to keep; ``keep`` None is all.

    ``snapshots`` are names and shell patterns, none of them is all; ``newest`` is the newest.
    """

    out: Path
    formats: tuple[str, ...] = DEFAULT_FORMATS
    snapshots: tuple[str, ...] = ()
    keep: int | None = None


@dataclass(frozen=True)
class Notify:
    """Where to tell of what falls short: a file, and the environment variable that holds a webhook's URL.

    ``timeout`` is in seconds, for one try and all of its answer.
    """

    file: Path | None = None
    webhook: str | None = None
    timeout: int = 10


@dataclass(frozen=True)
class Config:
    """A file of a scheduled run; ``name`` is its path.

    ``missing`` has a line for each source that cannot be found or read: that is no fault of the file.
    ``written`` has the sources' paths as the user wrote them, by the absolute ones.
    """

    name: str
    sources: tuple[Source, ...]
    warehouse: Path
    reports: Reports
    cache: Path | None = None
    offline: bool = False
    jobs: int | None = None
    choice: Choice = ALL
    strict: bool = False
    gates: Gates | None = None
    notify: Notify = field(default_factory=Notify)
    log: str = "text"
    missing: tuple[str, ...] = ()
    written: Mapping[str, str] = field(default_factory=dict)

    def show_paths(self, message: str) -> str:
        """A message whose paths of sources are as the user wrote them."""
        longest_first = "|".join(re.escape(path) for path in sorted(self.written, key=len, reverse=True))
        whole = rf"(?<!\S)(?:{longest_first})(?=[/,:;\s]|$)"
        return re.sub(whole, lambda found: self.written[found[0]], message) if self.written else message


def read_config(path: Path) -> Config:
    """The configuration in a file.

    Raises:
        FileFaultsError: it, or a file of gates or sources that it names, is not as it must be; each fault
            names the file and the line.
        OSError: it cannot be read.
    """
    return parse_config(read_text(path), str(path), path.parent)


def parse_config(text: str, name: str, folder: Path = Path()) -> Config:
    """The configuration that a text of YAML spells; paths in it are relative to ``folder``.

    Raises:
        FileFaultsError: as of :func:`read_config`.
    """
    top = compose(text, name)
    if top is None:
        raise FileFaultsError([f"{name}: is empty: 'sources' is missing"])
    reader = _Reader(name, folder)
    config = reader.read_config(top)
    if any(fault not in config.missing for _, fault in reader.faults):
        raise FileFaultsError([fault for _, fault in sorted(reader.faults, key=lambda fault: fault[0])])
    return config


class _Reader(NodeReader):
    """Checks the nodes of a configuration one by one, and goes on after a fault."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, folder)
        self.missing: list[str] = []
        self.written: dict[str, str] = {}

    def read_config(self, top: yaml.Node) -> Config:
        found = self.section(top, "configuration", KEYS, ["sources"])
        warehouse = self.path(found.get("warehouse"), "warehouse") or self.folder / "warehouse"
        sources = self.read_sources(found.get("sources"), warehouse)
        reports = self.read_reports(found.get("reports"), warehouse, sources)
        cache = self.path(found.get("cache"), "cache")
        self.refuse_internal(found.get("cache"), "cache", cache, warehouse)
        jobs = self.number(found.get("jobs"), "jobs")
        if jobs == 0:
            self.refuse(found["jobs"], "jobs: '0' is no whole number from 1 on")
        return Config(
            name=self.name,
            sources=sources,
            warehouse=warehouse,
            reports=reports,
            cache=cache,
            offline=self.flag(found.get("offline"), "offline"),
            jobs=jobs,
            choice=Choice(
                tuple(self.texts(found.get("snapshots"), "snapshots")),
                tuple(self.texts(found.get("stacks"), "stacks")),
            ),
            strict=self.flag(found.get("strict"), "strict"),
            gates=self.read_gates(found.get("gates")),
            notify=self.read_notify(found.get("notify"), warehouse, reports.out, sources),
            log=self.one_of(found.get("log"), "log", LOG_FORMATS),
            missing=tuple(self.missing),
            written=self.written,
        )

    def section(
        self, node: yaml.Node, place: str, keys: Sequence[str], required: Sequence[str] = ()
    ) -> dict[str, yaml.Node]:
        """The values of a mapping; a key without a value is left out, as are all of its own that are commented out."""
        found = self.mapping(node, place, keys, required)
        return {key: value for key, value in found.items() if key in required or not is_null(value)}

    def path(self, node: yaml.Node | None, place: str) -> Path | None:
        text = self.text(node, place)
        if node is not None and not text.isprintable():
            # No file is meant, and in a list of paths it would be two lines.
            self.refuse(node, f"{place}: {show_node(node)} is no path")
            return None
        return Path(os.path.normpath(self.folder / text)) if text else None

    def refuse_internal(self, node: yaml.Node | None, place: str, path: Path | None, warehouse: Path) -> None:
        """Refuse a path where a build would remove what is there, or a run would remove a build."""
        if node is not None and path is not None and _is_internal(path, warehouse):
            self.refuse(node, f"{place}: {path}: is what the warehouse {warehouse} itself keeps")

    def one_of(self, node: yaml.Node | None, place: str, choices: Sequence[str]) -> str:
        text = self.text(node, place, choices[0])
        if node is not None and text not in choices:
            self.refuse(node, f"{place}: {show_node(node)} is none of: {', '.join(choices)}")
        return text

    def read_sources(self, node: yaml.Node | None, warehouse: Path) -> tuple[Source, ...]:
        sources: list[Source] = []
        items = self.items(node, "sources")
        if isinstance(node, yaml.SequenceNode) and not items:
            self.refuse(node, "sources: no source is in it")
        for item, _ in items:
            reader = SourceReader(Path(self.name))
            found = reader.read_source(Path(self.name), item, self.folder)
            for path in _list_places(found):
                self.refuse_internal(item, "sources", path, warehouse)
            sources += found
            self.faults += [(line_of(item), fault) for fault in reader.faults]
            self.missing += reader.missing
            self.written |= reader.written
        return tuple(dict.fromkeys(sources))

    def read_gates(self, node: yaml.Node | None) -> Gates | None:
        if node is None:
            return None
        try:
            if not isinstance(node, yaml.ScalarNode):
                return build_gates(node, self.name, self.folder)
            path = self.path(node, "gates")
            return read_gates(path) if path else None
        except FileFaultsError as error:
            self.faults += [(line_of(node), fault) for fault in error.faults]
        except OSError as error:
            self.refuse(node, f"gates: {error.filename}: {error.strerror}")
        return None

    def read_reports(self, node: yaml.Node | None, warehouse: Path, sources: Sequence[Source]) -> Reports:
        default = Layout(warehouse).reports
        if node is None:
            return Reports(default)
        found = self.section(node, "reports", ("out", "formats", "snapshots", "keep"))
        out = self.path(found.get("out"), "reports.out") or default
        self.refuse_internal(found.get("out"), "reports.out", out, warehouse)
        for path in _list_places(sources) if "out" in found else ():
            # A source that holds the warehouse is searched without it.
            if _is_in(path, out) or (_is_in(out, path) and not _is_in(out, warehouse)):
                self.refuse(found["out"], f"reports.out: {out}: holds the source {path}, or lies in it")
        formats = list(dict.fromkeys(self.texts(found.get("formats"), "reports.formats")))
        if "formats" in found and isinstance(found["formats"], yaml.SequenceNode) and not formats:
            self.refuse(found["formats"], f"reports.formats: none is in it; there are: {', '.join(FORMATS)}")
        for name in formats:
            if name and name not in FORMATS:
                self.refuse(found["formats"], f"reports.formats: {name!r} is none of: {', '.join(FORMATS)}")
        keep = self.number(found.get("keep"), "reports.keep")
        if keep == 0:
            self.refuse(found["keep"], "reports.keep: '0' is no whole number from 1 on")
        return Reports(
            out=out,
            formats=tuple(formats) if "formats" in found else DEFAULT_FORMATS,
            snapshots=tuple(self.texts(found.get("snapshots"), "reports.snapshots")),
            keep=keep,
        )

    def read_notify(self, node: yaml.Node | None, warehouse: Path, out: Path, sources: Sequence[Source]) -> Notify:
        if node is None:
            return Notify()
        found = self.section(node, "notify", ("file", "webhook", "timeout"))
        webhook = self.text(found.get("webhook"), "notify.webhook") or None
        if webhook is not None and not _VARIABLE.fullmatch(webhook):
            # A URL here would be a secret in a file.
            self.refuse(found["webhook"], "notify.webhook: is no name of an environment variable")
        timeout = self.number(found.get("timeout"), "notify.timeout")
        if timeout == 0:
            self.refuse(found["timeout"], "notify.timeout: '0' is no whole number from 1 on")
        file = self.path(found.get("file"), "notify.file")
        if file is not None:
            self.refuse_internal(found["file"], "notify.file", file, warehouse)
            if _is_same(file, Path(self.name)):
                self.refuse(found["file"], f"notify.file: {file}: is this file")
            if _is_in(file, out):
                self.refuse(found["file"], f"notify.file: {file}: lies in the folder of the reports")
            if any(_is_same(file, path) for path in _list_places(sources)):
                self.refuse(found["file"], f"notify.file: {file}: is a source")
        return Notify(file, webhook, timeout or Notify.timeout)


def _list_places(sources: Sequence[Source]) -> list[Path]:
    """The folders and files that are sources on this machine."""
    return [Path(source.place) for source in sources if not source.is_remote]


def _resolve(path: Path) -> tuple[Path, Path]:
    """A path as it is written, and where links lead: either may say what it is."""
    return Path(os.path.abspath(path)), Path(os.path.realpath(path))


def _is_same(path: Path, other: Path) -> bool:
    return any(one == two for one, two in zip(_resolve(path), _resolve(other), strict=True))


def _is_in(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or lies in it."""
    return any(one.is_relative_to(two) for one, two in zip(_resolve(path), _resolve(folder), strict=True))


def _is_internal(path: Path, warehouse: Path) -> bool:
    """Whether a path is the warehouse itself, or lies in it under a name that it uses."""
    for one, folder in zip(_resolve(path), _resolve(warehouse), strict=True):
        if one.is_relative_to(folder):
            name = next(iter(one.relative_to(folder).parts), ".")
            if name in PUBLISHED or name.startswith("."):
                return True
    return False
