"""A scheduled run as its file says: what to build from, what to hold it to, what to report, whom to notify.

:mod:`pipeline.settings` reads the file; here its sources are found, and its paths held apart.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import FileFaultsError
from pipeline.io.workplace import HERE, Workplace
from pipeline.layout import PUBLISHED, Layout
from pipeline.settings import Gates, Notify, Reports, RunSettings, read_gates
from pipeline.sources.buildcache import ALL, Choice
from pipeline.sources.files import Source, SourceReader, list_once
from pipeline.yamlfiles.models import SettingsFile
from pipeline.yamlfiles.values import read_text


@dataclass(frozen=True)
class Config:
    """A file of a scheduled run; ``name`` is its path, ``out`` the folder of its reports, ``site`` that of its site.

    A source that cannot be found or read is no fault of the file, but the source's own.
    ``written`` has the sources' paths as the user wrote them, by the absolute ones.
    """

    name: str
    sources: tuple[Source, ...]
    warehouse: Path
    out: Path
    reports: Reports
    site: Path | None = None
    base_url: str | None = None
    docs: str | None = None
    cache: Path | None = None
    offline: bool = False
    sizes: bool = False
    workplace: Workplace = HERE
    choice: Choice = ALL
    keep: bool | None = None
    strict: bool = False
    gates: Gates | None = None
    notify: Notify = field(default_factory=Notify)
    log: str = "text"
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
    file = SettingsFile(text, name, folder)
    if file.root is None:
        raise FileFaultsError([f"{name}: is empty: 'sources' is missing"])
    given = file.read(RunSettings)
    if given is None:
        raise FileFaultsError(file.list_faults())
    warehouse = given.warehouse or folder / "warehouse"
    out = given.reports.out or Layout(warehouse).reports
    site = None if given.site is None else given.site.out or out
    reader = SourceReader(Path(name))
    found = [(entry.line, one) for entry in given.sources if entry for one in reader.read_entry(file, entry)]
    gates = _find_gates(file, given.gates)
    for line, reason in _list_conflicts(file, given, warehouse, out, site, found):
        file.refuse(line, reason)
    faults = file.list_faults()
    if faults:
        raise FileFaultsError(faults)
    return Config(
        name=name,
        sources=tuple(list_once(source.allow(given.allow_hosts) for _, source in found)),
        warehouse=warehouse,
        out=out,
        reports=given.reports,
        site=site,
        base_url=None if given.site is None else given.site.base_url,
        docs=None if given.site is None else given.site.docs,
        cache=given.cache,
        offline=given.offline,
        sizes=given.sizes,
        workplace=given.workers or Workplace(given.jobs),
        choice=Choice(given.snapshots, given.stacks),
        keep=given.keep_snapshots,
        strict=given.strict,
        gates=gates,
        notify=given.notify,
        log=given.log,
        written=reader.written,
    )


def _find_gates(file: SettingsFile, gates: Gates | Path | None) -> Gates | None:
    """The gates that stand in a configuration, or in the file that it names."""
    if not isinstance(gates, Path):
        return gates
    line = file.line_at("gates")
    try:
        return read_gates(gates)
    except FileFaultsError as error:
        file.faults += [(line, fault) for fault in error.faults]
    except OSError as error:
        file.refuse(line, f"gates: {error.filename}: {error.strerror}")
    return None


def _list_conflicts(
    file: SettingsFile,
    given: RunSettings,
    warehouse: Path,
    out: Path,
    site: Path | None,
    sources: Sequence[tuple[int, Source]],
) -> Iterable[tuple[int, str]]:
    """Where a build would remove what is there, or a run a build, as (line, text); so are ``sources``."""
    internal = f"is what the warehouse {warehouse} itself keeps"
    local = [(line, Path(source.place)) for line, source in sources if not source.is_remote]
    for line, path in local:
        if _is_internal(path, warehouse):
            yield line, f"sources: {path}: {internal}"
    notification = given.notify.file
    site_out = None if given.site is None else given.site.out
    folders: dict[tuple[str, ...], Path | None] = {("reports", "out"): given.reports.out, ("site", "out"): site_out}
    written = {("cache",): given.cache, **folders, ("notify", "file"): notification}
    for keys, place in written.items():
        if place is not None and _is_internal(place, warehouse):
            yield file.line_at(*keys), f"{'.'.join(keys)}: {place}: {internal}"
    for keys, folder in folders.items():
        for _, path in local if folder else ():
            # A source that holds the warehouse is searched without it.
            if folder and (_is_in(path, folder) or (_is_in(folder, path) and not _is_in(folder, warehouse))):
                yield file.line_at(*keys), f"{'.'.join(keys)}: {folder}: holds the source {path}, or lies in it"
    if notification is not None:
        reasons = {
            "is this file": _is_same(notification, Path(file.name)),
            "lies in the folder of the reports": _is_in(notification, out),
            "lies in the folder of the site": site is not None and _is_in(notification, site),
            "is a source": any(_is_same(notification, path) for _, path in local),
        }
        line = file.line_at("notify", "file")
        yield from ((line, f"notify.file: {notification}: {reason}") for reason, so in reasons.items() if so)


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
