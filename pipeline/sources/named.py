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
from typing import TYPE_CHECKING

from pipeline.errors import FileFaultsError, SourceError
from pipeline.sources.files import Source, is_url

if TYPE_CHECKING:
    from pipeline.settings import NamedSource, SettingsFile

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
        if entry.path is not None and not os.path.lexists(source):
            self._miss(file, entry, MISSING, source)
            return []
        outer, self.faults = self.faults, []
        try:
            return self.find(source, entry.snapshot, entry.stack)
        except FileFaultsError as error:
            self.faults += error.faults
        except SourceError as error:
            file.refuse(entry.line, str(error))
        except OSError as error:
            self._miss(file, entry, error.strerror or str(error), source)
        finally:
            # Those of the files that it names stand where it does.
            file.faults += [(entry.line, fault) for fault in self.faults]
            self.faults = outer
        return []

    def _miss(self, file: SettingsFile, entry: NamedSource, reason: str, source: str) -> None:
        file.refuse(entry.line, f"{source}: {reason}")
        self.missing.append(file.faults[-1][1])
