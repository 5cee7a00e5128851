"""The YAML files that people write, as models: files of sources, of gates, and of a scheduled run.

Pydantic holds to the models what :mod:`pipeline.yamlvalues` reads. Each fault is a line,
``file:line: place: what is wrong``; all of a file are listed at once. What needs more than the file, such as
whether a path is there, is up to the stage that asks: it adds its own faults to those of the :class:`SettingsFile`.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter, ValidationError, ValidationInfo
from pydantic import ModelWrapValidatorHandler as ModelHandler
from pydantic import ValidatorFunctionWrapHandler as Handler
from pydantic.functional_validators import (
    BeforeValidator,
    PlainValidator,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from pipeline.errors import FileFaultsError
from pipeline.io.urls import ALLOWED_HOST, hide_secrets
from pipeline.schema import DEFAULT_FORMATS, NEWEST, REPORT_FORMATS
from pipeline.yamlvalues import Keyed, Null, line_of, read_text, read_values, show

Model = TypeVar("Model", bound="Keys")


class SettingsFile:
    """A file of YAML that is read, and its ``faults``, as (line, text).

    ``name`` is its path; the files that it names are in ``folder``. ``root`` is None where it is empty;
    ``within`` are the keys of the section that is being read.

    Raises:
        FileFaultsError: it is no YAML.
    """

    def __init__(self, text: str, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.faults: list[tuple[int, str]] = []
        self.within: list[str] = []
        self.root: Any = read_values(text, name)

    def read(self, model: type[Model]) -> Model | None:
        """The file as a model, as far as it is right; None where nothing is."""
        try:
            return model.model_validate(self.root, context=self)
        except ValidationError as error:
            self.refuse_all(error, model.TOP)
            return None

    def line_at(self, *keys: str) -> int:
        """The line of the value at a path of keys."""
        value = self.root
        for key in keys:
            value = value[key]
        return line_of(value)

    def refuse(self, line: int, reason: str) -> None:
        self.faults.append((line, f"{self.name}:{line}: {hide_secrets(reason)}"))

    def refuse_all(self, error: ValidationError, top: str, within: str = "") -> None:
        """Refuse what pydantic does in ``within``, in the order of lines; the whole is called ``top``."""
        found = []
        for one in _list_wrongs(error):
            place = within + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in one.loc)
            place = place.removeprefix(".") or top
            found.append((line_of(one.value), f"{place}: {one.reason}" if place else one.reason))
        for line, text in sorted(found):
            self.refuse(line, text)

    def list_faults(self) -> list[str]:
        """The faults, in the order of lines."""
        return [text for _, text in sorted(self.faults, key=lambda fault: fault[0])]


class Wrong(NamedTuple):
    """Why a value is refused, and where it is in what is read."""

    reason: str
    value: object
    loc: tuple[int | str, ...] = ()


_REASONS = {
    "tuple_type": "a list is expected",
    "less_than": "{shown} is too large",
    "int_parsing_size": "{shown} is too large",
    "float_parsing": "{shown} is no share from 0 to 1",
    "less_than_equal": "{shown} is no share from 0 to 1",
    "greater_than": "{shown} is no whole number from 1 on",
}


def _wrong(reason: str) -> PydanticCustomError:
    return PydanticCustomError("wrong", "{reason}", {"reason": reason})


def _list_wrongs(error: ValidationError) -> list[Wrong]:
    """What pydantic refuses, in the words of this module."""
    wrongs = []
    for one in error.errors(include_url=False, include_context=False):
        loc, value = one["loc"], one["input"]
        if one["type"] == "missing":
            wrongs.append(Wrong(f"{loc[-1]!r} is missing", value, loc[:-1]))
        else:
            reason = _REASONS.get(one["type"], "").replace("{shown}", show(value)) or one["msg"]
            wrongs.append(Wrong(reason, value, loc))
    return wrongs


def _join(wrongs: list[Wrong]) -> ValidationError:
    details = [InitErrorDetails(type=_wrong(one.reason), loc=one.loc, input=one.value) for one in wrongs]
    return ValidationError.from_exception_data("settings", details)


def _spelt(reason: str, pattern: str = "(?s).*", parse: Callable[[str], object] | None = None) -> BeforeValidator:
    """A text of a pattern that ``parse`` takes; pydantic makes of it what it is to be."""

    def read(value: object) -> object:
        try:
            if isinstance(value, str) and not isinstance(value, Null) and re.fullmatch(pattern, value):
                return parse(value) if parse else value
        except ValueError:
            pass
        raise _wrong(reason.replace("{shown}", show(value)))

    return BeforeValidator(read)


def _be_printable(text: str) -> str:
    if not text.isprintable():
        raise _wrong(f"{show(text)} cannot be printed")
    return text


def _be_path(text: str, info: ValidationInfo) -> Path:
    if not text.isprintable():
        raise _wrong(f"{show(text)} is no path")
    file: Any = info.context
    return Path(os.path.normpath(file.folder / text))


def _one_or_many(value: Any, handler: Handler) -> Any:
    """One text is a list of it alone; each counts once."""
    try:
        return tuple(dict.fromkeys(handler([value] if isinstance(value, str) else value)))
    except ValidationError as error:
        wrongs = _list_wrongs(error)
        raise _join([one._replace(loc=()) for one in wrongs] if isinstance(value, str) else wrongs) from None


def _some(reason: str, only_lists: bool = False) -> BeforeValidator:
    """A list that is not empty; ``only_lists``: of another value the reason is the same."""

    def read(value: object) -> object:
        if value == [] or (only_lists and not isinstance(value, list)):
            raise _wrong(reason)
        return value

    return BeforeValidator(read)


_ANY_TEXT = _spelt("a text is expected", r"(?s).*\S.*")
Written = Annotated[str, _ANY_TEXT]
Printable = Annotated[str, BeforeValidator(_be_printable), _spelt("is not a text", "(?s).+")]
WrittenList = Annotated[tuple[Written, ...], WrapValidator(_one_or_many)]
Format = Annotated[
    str, _spelt(f"{{shown}} is none of: {', '.join(REPORT_FORMATS)}", "|".join(REPORT_FORMATS)), _ANY_TEXT
]
Formats = Annotated[
    tuple[Format, ...], WrapValidator(_one_or_many), _some(f"none is in it; there are: {', '.join(REPORT_FORMATS)}")
]
PathBeside = Annotated[Path, BeforeValidator(_be_path), _ANY_TEXT]
Host = Annotated[str, _spelt("{shown} is no HOST, HOST:PORT or s3://BUCKET", ALLOWED_HOST), _ANY_TEXT]
Hosts = Annotated[tuple[Host, ...], WrapValidator(_one_or_many)]
Number = Annotated[int, Field(lt=10**9), _spelt("{shown} is no whole number from 0 on", "[0-9]+")]
Positive = Annotated[Number, Field(gt=0)]
Share = Annotated[float, Field(le=1), _spelt("{shown} is no share from 0 to 1", r"[0-9.]+([eE][+-]?[0-9]+)?")]
Date = Annotated[dt.date, _spelt("{shown} is no date such as 2026-12-31", parse=dt.date.fromisoformat)]
Flag = Annotated[bool, _spelt("{shown} is neither true nor false", "(?i)true|yes|on|false|no|off")]
Variable = Annotated[str, _spelt("is no name of an environment variable", "[A-Za-z_][A-Za-z0-9_]*"), _ANY_TEXT]
"""Its value is not shown: where it is a URL by mistake, that is a secret."""
Log = Annotated[Literal["text", "json"], _spelt("{shown} is none of: text, json", "text|json"), _ANY_TEXT]


class Keys(BaseModel):
    """A mapping with these keys and no others.

    ``line`` is where it begins; ``TOP`` is how messages call it where it is a whole file. The texts of its
    faults may name all ``{keys}``, or the one ``{key}``, as it is ``{shown}``. Without a text for ``AGAIN`` the last
    of two values counts. ``LEAVES_OUT`` says whether a key without a value is left out, which is not ``REQUIRED``.
    """

    model_config = ConfigDict(frozen=True)
    TOP: ClassVar[str] = ""
    EXPECTED: ClassVar[str] = "keys are expected: {keys}"
    UNKNOWN: ClassVar[str] = "{shown} is no key of it; there are: {keys}"
    AGAIN: ClassVar[str] = "{shown} a second time"
    MISSING: ClassVar[str] = "{key!r} is missing"
    REQUIRED: ClassVar[str] = ""
    LEAVES_OUT: ClassVar[bool] = False
    _file: str = PrivateAttr("")
    _line: int = PrivateAttr(1)

    @property
    def line(self) -> int:
        return self._line

    @classmethod
    def list_contradictions(cls, given: Mapping[str, object]) -> Iterable[str]:
        """What is wrong in the choice of the keys that are given."""
        return ()

    @model_validator(mode="wrap")
    @classmethod
    def _check(cls, data: Any, handler: ModelHandler[Self], info: ValidationInfo) -> Self:
        if not isinstance(info.context, SettingsFile):
            return handler(data)  # made by the program, not read
        keys = list(cls.model_fields)
        if not isinstance(data, Keyed):
            raise _wrong(cls.EXPECTED.format(keys=", ".join(keys)))
        left_out = [
            key for key, value in data.items() if cls.LEAVES_OUT and key != cls.REQUIRED and isinstance(value, Null)
        ]
        chosen = Keyed({key: value for key, value in data.items() if key in keys and key not in left_out})
        chosen.line = data.line
        wrongs = [Wrong(reason, data) for reason in cls.list_contradictions(chosen)]
        if cls.REQUIRED and cls.REQUIRED not in data:
            wrongs.append(Wrong(cls.MISSING.format(key=cls.REQUIRED), data))
        unknown = [key for key in (*data, *(key for key, _ in data.more)) if key not in keys]
        wrongs += [Wrong(cls.UNKNOWN.format(shown=show(key), keys=", ".join(keys)), key) for key in unknown]
        again = {key: value for key, value in data.more if key in keys}
        if cls.AGAIN:
            wrongs += [Wrong(cls.AGAIN.format(shown=show(key), key=key), key) for key in again]
        else:
            chosen.update(again)
        try:
            model = handler(chosen)
        except ValidationError as error:
            raise _join(wrongs + _list_wrongs(error)) from None
        model._settle(data, wrongs, info.context)
        return model

    def _settle(self, data: Keyed, wrongs: list[Wrong], file: SettingsFile) -> None:
        if wrongs:
            raise _join(wrongs)
        self._file, self._line = file.name, data.line


class Section(Keys):
    """Keys that stand for themselves: where one is wrong, the others are read, and its default is in its place.

    A key without a value is left out, as are all of its own that are commented out.
    """

    LEAVES_OUT: ClassVar[bool] = True

    @field_validator("*", mode="wrap")
    @classmethod
    def _go_on(cls, value: Any, handler: Handler, info: ValidationInfo) -> Any:
        file, name = info.context, info.field_name
        if not isinstance(file, SettingsFile) or name is None:
            return handler(value)  # made by the program, not read
        file.within.append(name)
        try:
            return handler(value)
        except ValidationError as error:
            file.refuse_all(error, cls.TOP, ".".join(file.within))
            return cls.model_fields[name].default
        finally:
            file.within.pop()

    def _settle(self, data: Keyed, wrongs: list[Wrong], file: SettingsFile) -> None:
        if wrongs:
            file.refuse_all(_join(wrongs), self.TOP, ".".join(file.within))


def _alone(model: type[Keys]) -> WrapValidator:
    """Reads something that is named without the place that it stands in; None where it is wrong."""

    def read(value: Any, handler: Handler, info: ValidationInfo) -> Any:
        file: Any = info.context
        try:
            return handler(value)
        except ValidationError as error:
            file.refuse_all(error, model.TOP)
            return None

    return WrapValidator(read)


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


Entry = Annotated[NamedSource | None, _alone(NamedSource)]


class SourcesFile(Section):
    """A file of sources; of those that are wrong there is None."""

    EXPECTED: ClassVar[str] = "is no file of sources: it has no key 'sources'"
    UNKNOWN: ClassVar[str] = "unknown key {shown}; known are {keys}"
    AGAIN: ClassVar[str] = ""
    MISSING: ClassVar[str] = EXPECTED
    REQUIRED: ClassVar[str] = "sources"
    sources: Annotated[tuple[Entry, ...], _some("is not a list of sources", only_lists=True)] = ()
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
    """Packages of stacks, both globs, that may be lost until the end of a day."""

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

    @property
    def name(self) -> str:
        return self._file

    @property
    def count(self) -> int:
        others = (self.lost, self.rejects, self.meta_mismatches, self.fresh)
        return len(self.coverage) + sum(gate is not None for gate in others)

    def _settle(self, data: Keyed, wrongs: list[Wrong], file: SettingsFile) -> None:
        super()._settle(data, wrongs, file)
        if not self.count:
            file.refuse(self.line, "no gate is in it")


def read_gates(path: Path) -> Gates:
    """The gates of a file.

    Raises:
        FileFaultsError: it is not as it must be; each fault names the line.
        OSError: it cannot be read.
    """
    return parse_gates(read_text(path), str(path), path.parent)


def parse_gates(text: str, name: str, folder: Path = Path()) -> Gates:
    """As :func:`read_gates`, of a text; files that it names are in ``folder``."""
    file = SettingsFile(text, name, folder)
    if file.root is None:
        raise FileFaultsError([f"{name}: is empty: no gate is in it"])
    gates = file.read(Gates)
    if gates is None or file.faults:
        raise FileFaultsError(file.list_faults())
    return gates


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


class Notify(Section):
    """Where to tell of what falls short: a file, and the environment variable that holds a webhook's URL.

    ``timeout`` is in seconds, for one try and all of its answer.
    """

    file: PathBeside | None = None
    webhook: Variable | None = None
    timeout: Positive = 10


class RunSettings(Section):
    """The file of a scheduled run. ``examples/coverage.yaml`` explains each key."""

    TOP: ClassVar[str] = "configuration"
    REQUIRED: ClassVar[str] = "sources"
    sources: Annotated[tuple[Entry, ...], _some("no source is in it")] = ()
    allow_hosts: Hosts = ()
    warehouse: PathBeside | None = None
    cache: PathBeside | None = None
    offline: Flag = False
    jobs: Positive | None = None
    snapshots: WrittenList = ()
    stacks: WrittenList = ()
    keep_snapshots: Flag | None = None
    strict: Flag = False
    gates: Annotated[Gates | Path | None, PlainValidator(_gates_or_path), _alone(Gates)] = None
    reports: Reports = Reports()
    notify: Notify = Notify()
    log: Log = "text"
