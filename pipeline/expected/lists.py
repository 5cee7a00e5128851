"""Read what a cache is expected to hold: a list of specs, or by its name a ``spack.yaml`` or a ``spack.lock``.

What cannot be known from a cache (dependencies after ``^``, compiler flags) or without the machine in
question (``when``) is left out of the question, and each time a note says so. Here is what the kinds of
files have in common, and lists; :mod:`pipeline.expected.environment` and :mod:`pipeline.expected.lock` are the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pipeline.errors import FileFaultsError, SpecSyntaxError
from pipeline.spack.compilers import FLAGS
from pipeline.spack.spec import Query, parse_spec

_QUOTED = r"""'[^']*'|"[^"]*\""""
_FLAG = re.compile(rf"(?<!\S)(?:{'|'.join(sorted(FLAGS))})(?::?==?)(?:{_QUOTED}|\S*)\s*")
_PART = re.compile(rf"(?:{_QUOTED}|[^'\"^]|['\"])+|\^")
_COMMENT = re.compile(r"(?:^|\s)#.*")


@dataclass(frozen=True)
class Expected:
    """One thing expected: a spec that meets every one of ``queries``, best the one of ``hash``.

    ``place`` is where the file says so. ``dependents`` counts the specs that the file expects and that depend on it
    directly, None where the file has no dependencies. What it needs itself are, by hash, ``needs`` to link and run and
    ``builds_with`` for all else; ``package_hash`` is that of its recipe, ``libc`` such as glibc@2.35 that of its own.
    """

    text: str
    place: str
    queries: tuple[Query, ...]
    hash: str | None = None
    root: bool = True
    dependents: int | None = None
    needs: tuple[str, ...] = ()
    builds_with: tuple[str, ...] = ()
    package_hash: str | None = None
    libc: str | None = None

    @property
    def package(self) -> str | None:
        """The package that the queries name; None where they name none, but a hash."""
        return next((query.package for query in self.queries if query.package), None)


@dataclass(frozen=True)
class ExpectedList:
    """What a file expects, in its order, each once; ``notes`` say what of it is not evaluated.

    ``aside`` is what it names and does not expect, and that may still say why something is not there.
    """

    items: list[Expected]
    notes: list[str]
    aside: Sequence[Expected] = ()


class SpecText(NamedTuple):
    """A spec as a file spells it, and its line."""

    text: str
    line: int


@dataclass
class Collector:
    """What is collected while one file is read: faults, notes, and what specs turned out to be."""

    name: str
    toolchains: frozenset[str] = frozenset()
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def refuse(self, line: int, reason: str) -> None:
        """Take a fault of a line."""
        self.faults.append(f"{self.name}:{line}: {reason}")

    def note(self, line: int, reason: str) -> None:
        """Take what of a line is not evaluated, once."""
        note = f"{self.name}:{line}: {reason}"
        if note not in self.notes:
            self.notes.append(note)

    def expect(self, constraints: Sequence[SpecText], line: int) -> Expected | None:
        """The one spec that is all of ``constraints``."""
        queries = [query for one in constraints if (query := self.read(one)) is not None]
        text = " ".join(one.text for one in constraints)
        named = {query.package for query in queries if query.package}
        if len(named) > 1:
            self.refuse(line, f"{text!r} names several packages: {', '.join(sorted(named))}")
        elif not named and not any(query.hash for query in queries):
            if not self.faults:
                self.refuse(line, f"{text!r} names no package")
        else:
            return Expected(text, f"{self.name}:{line}", tuple(queries))
        return None

    def read(self, one: SpecText) -> Query | None:
        """The query of one spec without what cannot be answered; None where nothing is left, or it is wrong."""
        node, dependencies = part_nodes(one.text)
        plain, flags = part_flags(node)
        for aside in (*(f"^{dependency}" for dependency in dependencies), *flags):
            self.note(one.line, f"not evaluated: {aside}")
        if not plain:
            return None
        try:
            query, old = parse_lenient(plain)
        except SpecSyntaxError as error:
            self.refuse(one.line, str(error))
            return None
        if old:
            self.note(one.line, f"read as before Spack 1.0, all but the compiler asked of the package: {plain}")
        kept = []
        for compiler in query.compilers:
            if compiler.family in self.toolchains:
                self.note(one.line, f"not evaluated: the toolchain {compiler.text}")
            else:
                kept.append(compiler)
        return replace(query, compilers=tuple(kept))

    def finish(self, items: Iterable[Expected]) -> ExpectedList:
        """The list, each text once.

        Raises:
            FileFaultsError: there were faults, or nothing is expected.
        """
        found = {item.text: item for item in reversed(list(items))}
        if not found and not self.faults:
            self.faults.append(f"{self.name}: no spec is expected in it")
        if self.faults:
            raise FileFaultsError(list(dict.fromkeys(self.faults)))
        return ExpectedList(list(reversed(found.values())), self.notes)


def parse_lenient(text: str) -> tuple[Query, bool]:
    """The query of a spec, and whether it could be read only as before Spack 1.0: many an environment is that old.

    Raises:
        SpecSyntaxError: with the place and the reason.
    """
    try:
        return parse_spec(text), False
    except SpecSyntaxError as error:
        try:
            return parse_spec(text, old=True), True
        except SpecSyntaxError:
            raise error from None


def part_nodes(text: str) -> tuple[str, list[str]]:
    """A spec's own text, and that of each dependency after a ``^`` outside quotes."""
    nodes = [""]
    for part in _PART.findall(text):
        if part == "^":
            nodes.append("")
        else:
            nodes[-1] += part
    return nodes[0].strip(), [node.strip() for node in nodes[1:]]


def part_flags(text: str) -> tuple[str, list[str]]:
    """A spec's text without its compiler flags, and these."""
    return _FLAG.sub("", text).strip(), [flag.strip() for flag in _FLAG.findall(text)]


def parse_list(text: str, name: str) -> ExpectedList:
    """What a list expects: a spec to a line; what follows a ``#`` is a comment."""
    reader = Collector(name)
    items = []
    for number, line in enumerate(text.splitlines(), 1):
        spec = _COMMENT.sub("", line).strip()
        if spec and (item := reader.expect([SpecText(spec, number)], number)) is not None:
            items.append(item)
    return reader.finish(items)
