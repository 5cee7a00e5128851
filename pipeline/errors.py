"""What can go wrong, as one tree.

::

    WarehouseError            one line for the user; exit status 1
    ├── SourceError           a source cannot be read, or holds no page
    │   └── DuplicatePageError  two different files give the same (snapshot, package)
    ├── RemoteError           a URL cannot be fetched
    │   └── NoFileError       a server answers that it gives no file at a URL, and would answer so again
    │       └── MissingFileError  there is none: it is gone
    ├── NoWarehouseError      there is no warehouse at the path, or it is damaged
    ├── QueryError            DuckDB refuses a query
    │   └── NoQueryError      there is no view, macro or check of a name, or not with such arguments; exit status 2
    ├── SpecSyntaxError       a spec that is not Spack's syntax, or asks what no cache knows; exit status 2
    ├── NotInWarehouseError   a snapshot or stack asked for is not in the warehouse
    └── FileFaultsError       a file that the user wrote is wrong: a line for each fault
    Fault                     a spec or page that cannot be loaded: becomes a row of ``rejects``

A ``Fault`` is not a ``WarehouseError``: it never ends a build.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class WarehouseError(Exception):
    """A failure that the user reads in one line, which names the file and the place."""


class SourceError(WarehouseError):
    """A source cannot be read at all, or holds nothing to load."""


class DuplicatePageError(SourceError):
    """Two files that differ both claim to be the page of one package in one snapshot."""

    def __init__(self, snapshot: str, package: str, first: str, second: str) -> None:
        super().__init__(
            f"{first} and {second}: both are the page of package {package!r} in snapshot "
            f"{snapshot!r}, and they differ; remove one"
        )


class RemoteError(WarehouseError):
    """A URL cannot be fetched."""


class NoFileError(RemoteError):
    """A server gives no file at a URL: it is gone, or access is denied.

    S3 answers 403 for a key that is not there where listing is not allowed: only who asked knows which it is.
    """


class MissingFileError(NoFileError):
    """There is no file at a URL."""


class NoWarehouseError(WarehouseError):
    """There is no readable warehouse at the path."""


class QueryError(WarehouseError):
    """DuckDB refuses a query, or the query is no single read-only statement."""


class NoQueryError(QueryError):
    """There is no view, macro or check of the name that is asked for, or it does not take such arguments."""


class SpecSyntaxError(WarehouseError):
    """A spec asked for that is not in Spack's syntax, or asks for what a cache does not know.

    ``offset`` is the place in ``text``, counted in characters from 0; ``len(text)`` is its end.
    """

    def __init__(self, text: str, offset: int, reason: str) -> None:
        super().__init__(f"{text!r}, character {offset + 1}: {reason}")
        self.text = text
        self.offset = offset
        self.reason = reason

    def render(self) -> str:
        """Two lines: the spec, and a caret under the place with the reason beside it."""
        line = "".join(character if character.isprintable() else " " for character in self.text)
        return f"{line}\n{' ' * self.offset}^ {self.reason}"


_FEW = 8
"""So many names are listed in full."""


class NotInWarehouseError(WarehouseError):
    """A snapshot or stack that was asked for is not in the warehouse; ``words`` stand for some of the ``held``."""

    def __init__(self, kind: str, name: str, held: Sequence[str], words: Sequence[str] = ()) -> None:
        super().__init__(describe_missing(kind, name, held, words))


def describe_missing(kind: str, name: str, held: Sequence[str], words: Sequence[str] = (), of: str = "") -> str:
    """In one line that a warehouse has nothing of a ``name``, and what may have been meant; see :func:`suggest`."""
    return f"no {kind} {name!r}{of and f' of {of}'} in the warehouse; {suggest(name, held, words)}"


def suggest(name: str, names: Sequence[str], words: Sequence[str] = ()) -> str:
    """What to say of a ``name`` that is none of ``names``, nor of the ``words`` for some of them.

    That is which may have been meant, or which names there are.
    """
    if near := suggest_near(name, [*names, *words]):
        return near
    more = f" and {len(names) - _FEW:,} more" if len(names) > _FEW else ""
    return f"there are: {', '.join(names[:_FEW]) or 'none'}{more}"


def suggest_near(name: str, names: Iterable[str], count: int = 3) -> str:
    """What to ask where ``name`` may have been meant for some of ``names``, at most ``count``; nothing where not."""
    near = suggest_names(name, names, count)
    return f"did you mean {join_or(near)}?" if near else ""


def add_near(reason: str, name: str, names: Iterable[str], count: int = 3) -> str:
    """A reason and, where there are any, which of ``names`` may have been meant by ``name``."""
    return "; ".join(filter(None, (reason, suggest_near(name, names, count))))


def join_or(names: Sequence[str]) -> str:
    """Names in words: ``a``, ``a or b``, ``a, b or c``."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def suggest_names(name: str, names: Iterable[str], count: int = 5) -> list[str]:
    """Those of ``names`` that ``name`` may have been meant for, the likeliest first.

    That is never itself, as a word may be which stands for nothing here. One that differs in upper and lower case, or
    in ``_`` and ``-``, alone is the only one. A language's prefix is often forgotten: for ``numpy`` that is
    ``py-numpy``, before what is but spelt alike.
    """
    plain = {one: _even(one) for one in sorted(set(names) - {name})}
    asked = _even(name)
    if same := [one for one, text in plain.items() if text == asked]:
        return same[:count]
    ends = [one for one, text in plain.items() if text.endswith(f"-{asked}")]
    alike = get_close_matches(asked, set(plain.values()), count)
    near = [one for text in alike for one in plain if plain[one] == text]
    return list(dict.fromkeys([*ends, *near]))[:count]


def _even(name: str) -> str:
    return name.lower().replace("_", "-")


LIBRARIES = ("_duckdb", "duckdb", "polars", "pyarrow", "pyo3_runtime")


def explain_refusal(error: BaseException) -> str | None:
    """What the machine refuses a library, as memory, threads or its own files, in a line; None of any other error."""
    if isinstance(error, MemoryError):
        return "out of memory"
    text = next(iter(str(error).splitlines()), type(error).__name__)
    if isinstance(error, ImportError):
        return f"cannot be loaded: {text}"
    theirs = type(error).__module__.partition(".")[0] in LIBRARIES or text == "can't start new thread"
    return text if theirs else None


class FileFaultsError(WarehouseError):
    """What is wrong in a file that the user wrote: ``faults`` are lines that name file, line and place."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = list(faults)


class Fault(Exception):
    """Why a file, page or spec cannot be loaded: the content of a row in ``rejects``.

    ``place`` is a path inside the page such as ``spec_details[3].hash``; ``specs`` is how many
    specs are lost with it, None where they cannot be counted.
    """

    def __init__(self, place: str, reason: str, raw: str | None = None, specs: int | None = None) -> None:
        super().__init__(f"{place}: {reason}")
        self.place = place
        self.reason = reason
        self.raw = raw
        self.specs = specs
