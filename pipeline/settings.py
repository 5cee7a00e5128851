"""The YAML files that people write, as models: files of sources, of gates, of known gaps, and of a scheduled run.

:mod:`pipeline.yamlfiles.models` says what their keys and values are held to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import TypeAdapter, ValidationInfo
from pydantic.functional_validators import PlainValidator, WrapValidator

from pipeline.errors import FileFaultsError
from pipeline.io.urls import SITE_ADDRESS
from pipeline.io.workplace import NEITHER, Workplace, parse_workers
from pipeline.words import DEFAULT_FORMATS, NEWEST, REPORT_FORMATS, SHORT_FORMATS
from pipeline.yamlfiles.models import (
    ANY_TEXT,
    Date,
    Flag,
    Hosts,
    Keys,
    Model,
    Number,
    PathBeside,
    Positive,
    Printable,
    Section,
    SettingsFile,
    Share,
    Variable,
    Written,
    WrittenList,
    Wrong,
    alone,
    not_empty,
    one_or_many,
    spelt,
)
from pipeline.yamlfiles.values import Keyed, read_text

Format = Annotated[
    str,
    spelt(
        f"{{shown}} is none of: {', '.join(REPORT_FORMATS)}",
        "|".join((*REPORT_FORMATS, *SHORT_FORMATS)),
        lambda name: SHORT_FORMATS.get(name, name),
    ),
    ANY_TEXT,
]
Formats = Annotated[
    tuple[Format, ...], WrapValidator(one_or_many), not_empty(f"none is in it; there are: {', '.join(REPORT_FORMATS)}")
]
Log = Annotated[Literal["text", "json"], spelt("{shown} is none of: text, json", "text|json"), ANY_TEXT]

Workers = Annotated[Workplace, spelt(f"{{shown}} {NEITHER}", parse=parse_workers), ANY_TEXT]

# Sources


class NamedSource(Keys):
    """An entry of a list of sources: where it is, the names that it is given, whether it may fail."""

    EXPECTED: ClassVar[str] = "is no source: it is not a mapping"
    UNKNOWN: ClassVar[str] = "unknown key {shown}; known are {keys}"
    AGAIN: ClassVar[str] = "{key}: is given a second time"
    name: Printable | None = None
    url: Printable | None = None
    path: Printable | None = None
    snapshot: Printable | None = None
    stack: Printable | None = None
    optional: Flag = False

    @classmethod
    def list_contradictions(cls, given: Mapping[str, object]) -> Iterable[str]:
        if ("url" in given) == ("path" in given):
            yield "needs one of url and path"


Entry = Annotated[NamedSource | None, alone(NamedSource)]


class SourcesFile(Section):
    """A file of sources; of those that are wrong there is None."""

    EXPECTED: ClassVar[str] = "is no file of sources: it has no key 'sources'"
    UNKNOWN: ClassVar[str] = "unknown key {shown}; known are {keys}"
    AGAIN: ClassVar[str] = ""
    MISSING: ClassVar[str] = EXPECTED
    REQUIRED: ClassVar[str] = "sources"
    sources: Annotated[tuple[Entry, ...], not_empty("is not a list of sources", only_lists=True)] = ()
    allow_hosts: Hosts = ()


# Gates


class CoverageGate(Keys):
    """That each stack of a glob has a share of the snapshot's packages (or of what a file expects), or a number."""

    stack: Written
    minimum: Share | None = None
    packages: Number | None = None
    expected: PathBeside | None = None

    @classmethod
    def list_contradictions(cls, given: Mapping[str, object]) -> Iterable[str]:
        if given and not given.keys() & {"minimum", "packages"}:
            yield "'minimum' or 'packages' is missing"
        if "expected" in given and "minimum" not in given:
            yield "'expected' needs a 'minimum'"


class Allowance(Keys):
    """Packages of stacks, both globs, that may be missing until the end of a day: lost, or a gap on purpose."""

    package: Written = "*"
    stack: Written = "*"
    reason: Written
    expires: Date

    @classmethod
    def list_contradictions(cls, given: Mapping[str, object]) -> Iterable[str]:
        if given and not given.keys() & {"package", "stack"}:
            yield "'package' or 'stack' is missing"

    def covers(self, stack: str, package: str) -> bool:
        return fnmatchcase(stack, self.stack) and fnmatchcase(package, self.package)


class LostGate(Keys):
    """That no stack of the globs lost a package that it had in the baseline, but for the allowances."""

    baseline: Written
    stacks: tuple[Written, ...] = ("*",)
    allow: tuple[Allowance, ...] = ()


class InstallableGate(Keys):
    """That of each stack of a glob, which may name root, a share of the specs installs without building."""

    stack: Written
    minimum: Share


class RowsGate(Keys):
    """That no more than so many rows are there."""

    maximum: Number


class AgeGate(Keys):
    """That no more than so many days have passed."""

    days: Number


class Gates(Keys):
    """A file of gates; ``name`` is its path."""

    TOP: ClassVar[str] = "gates"
    snapshot: Written = NEWEST
    coverage: tuple[CoverageGate, ...] = ()
    lost: LostGate | None = None
    rejects: RowsGate | None = None
    meta_mismatches: RowsGate | None = None
    fresh: AgeGate | None = None
    installable: tuple[InstallableGate, ...] = ()

    @property
    def name(self) -> str:
        return self._file

    @property
    def count(self) -> int:
        others = (self.lost, self.rejects, self.meta_mismatches, self.fresh)
        return len(self.coverage) + len(self.installable) + sum(gate is not None for gate in others)

    def _settle(self, data: Keyed, wrongs: list[Wrong], file: SettingsFile) -> None:
        super()._settle(data, wrongs, file)
        if not self.count:
            file.refuse(self.line, "no gate is in it")


class KnownGaps(Keys):
    """A file of packages that stacks lack on purpose."""

    TOP: ClassVar[str] = "known gaps"
    REQUIRED: ClassVar[str] = "known"
    known: Annotated[tuple[Allowance, ...], not_empty("no gap is in it")] = ()


def read_gates(path: Path) -> Gates:
    """The gates of a file.

    Raises:
        FileFaultsError: it is not as it must be; each fault names the line.
        OSError: it cannot be read.
    """
    return parse_gates(read_text(path), str(path), path.parent)


def parse_gates(text: str, name: str, folder: Path = Path()) -> Gates:
    """As :func:`read_gates`, of a text; files that it names are in ``folder``."""
    return _parse_file(Gates, text, name, folder, "no gate is in it")


def read_known_gaps(path: Path) -> KnownGaps:
    """The gaps that a file says are on purpose.

    Raises:
        FileFaultsError: it is not as it must be; each fault names the line.
        OSError: it cannot be read.
    """
    return _parse_file(KnownGaps, read_text(path), str(path), path.parent, "no gap is in it")


def _parse_file(model: type[Model], text: str, name: str, folder: Path, empty: str) -> Model:
    file = SettingsFile(text, name, folder)
    if file.root is None:
        raise FileFaultsError([f"{name}: is empty: {empty}"])
    read = file.read(model)
    if read is None or file.faults:
        raise FileFaultsError(file.list_faults())
    return read


# A scheduled run


def _gates_or_path(value: object, info: ValidationInfo) -> object:
    """A text names a file of gates; anything else is to be gates itself."""
    read = TypeAdapter(PathBeside) if isinstance(value, str) else TypeAdapter(Gates)
    return read.validate_python(value, context=info.context)


class Reports(Section):
    """Which reports to write, and how many snapshots' to keep; ``keep`` None is all.

    ``snapshots`` are names, shell patterns and words such as ``latest``; none of them is all.
    """

    out: PathBeside | None = None
    formats: Formats = DEFAULT_FORMATS
    snapshots: WrittenList = ()
    keep: Positive | None = None


Address = Annotated[str | None, spelt("{shown} is not an https:// or http:// address", SITE_ADDRESS), ANY_TEXT]


class SitePlace(Section):
    """Where to write the site, the address that it will have, and that of the documentation that it links to.

    ``out`` None is the reports' folder.
    """

    out: PathBeside | None = None
    base_url: Address = None
    docs: Address = None


class Notify(Section):
    """Where to report what fails: a file, and the environment variable that holds a webhook's URL.

    ``timeout`` is in seconds, for one try and all of its answer.
    """

    file: PathBeside | None = None
    webhook: Variable | None = None
    timeout: Positive = 10


class RunSettings(Section):
    """The file of a scheduled run. ``examples/coverage.yaml`` explains each key."""

    TOP: ClassVar[str] = "configuration"
    REQUIRED: ClassVar[str] = "sources"
    sources: Annotated[tuple[Entry, ...], not_empty("no source is in it")] = ()
    allow_hosts: Hosts = ()
    warehouse: PathBeside | None = None
    cache: PathBeside | None = None
    offline: Flag = False
    sizes: Flag = False
    jobs: Positive | None = None
    workers: Workers | None = None
    snapshots: WrittenList = ()
    stacks: WrittenList = ()
    keep_snapshots: Flag | None = None
    strict: Flag = False
    gates: Annotated[Gates | Path | None, PlainValidator(_gates_or_path), alone(Gates)] = None
    reports: Reports = Reports()
    site: SitePlace | None = None
    notify: Notify = Notify()
    log: Log = "text"

    @classmethod
    def list_contradictions(cls, given: Mapping[str, object]) -> Iterable[str]:
        if "jobs" in given and "workers" in given:
            yield "jobs and workers both say where to work: name one"
