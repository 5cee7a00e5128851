"""What stacks have, and what they lack, of what a file expects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import duckdb

from pipeline.ask.explain import describe_misses
from pipeline.ask.have import Held, load_specs
from pipeline.ask.names import Names
from pipeline.ask.output import Columns
from pipeline.ask.scope import list_stacks
from pipeline.expected.environment import parse_environment
from pipeline.expected.lists import Expected, ExpectedList, parse_list
from pipeline.expected.lock import parse_lock
from pipeline.io.progress import number_of
from pipeline.spack.spec import Miss, find_misses
from pipeline.yamlfiles.values import read_text

ANYWHERE = "*"
"""In place of a stack: any of them, or root."""

COVERAGE_COLUMNS: Columns = (
    ("snapshot", "VARCHAR"),
    ("stack", "VARCHAR"),
    ("expected", "BIGINT"),
    ("present", "BIGINT"),
    ("by_hash", "BIGINT"),
    ("share", "DOUBLE"),
    ("weighted_share", "DOUBLE"),
    ("missing", "VARCHAR[]"),
    ("causes", "VARCHAR[]"),
)
ITEM_COLUMNS: Columns = (
    ("snapshot", "VARCHAR"),
    ("stack", "VARCHAR"),
    ("expected", "VARCHAR"),
    ("place", "VARCHAR"),
    ("root", "BOOLEAN"),
    ("weight", "BIGINT"),
    ("found", "VARCHAR"),
    ("hash", "VARCHAR"),
    ("nearest", "VARCHAR"),
    ("cause", "VARCHAR"),
)


@dataclass(frozen=True)
class Finding:
    """What there is of one expected spec in one place.

    ``found`` is ``hash`` (the very one), ``configuration`` (another that is all that was asked),
    ``package`` (the package, but not so) or ``nothing``; ``example`` is it, ``misses`` is what it fails on, and
    ``more`` how it differs otherwise from the spec of a lock file: in its recipe, or its libc.
    ``weight`` is one more than the packages, or specs of a lock file, that depend on it directly.
    """

    item: Expected
    found: str
    example: Held | None
    misses: tuple[Miss, ...]
    more: tuple[Miss, ...]
    weight: int | None

    @property
    def present(self) -> bool:
        """Whether all that was expected is there."""
        return self.found in ("hash", "configuration")

    def describe(self, names: Names) -> str:
        """In one line what is missing, and why; of what a user has typed also what no snapshot has of ``names``."""
        why = f"nearest: {describe_misses(self.misses)}" if self.misses else "nothing of the package is there"
        typed = () if self.item.hash else self.item.queries
        unknown = dict.fromkeys(line for query in typed for line in names.describe_unknown(query))
        return "; ".join([f"{self.item.place}: {self.item.text}: {why}", *unknown])

    def describe_cause(self) -> str:
        """In one line what of the spec itself is not as a lock file has it."""
        name = self.item.queries[0].text
        version = next((miss.found for miss in self.misses if miss.axis == "version"), None)
        if self.example is None:
            return f"{name}, the cache has none"
        return f"{name}, the cache has {version or 'it otherwise: ' + describe_misses((*self.misses, *self.more))}"


@dataclass(frozen=True)
class Cause:
    """Why specs of a lock file are not there by hash: the ``first`` that is not as asked, and what ``follows``."""

    first: Finding
    follows: list[Finding]

    def describe(self) -> str:
        """In one line what is not as asked, and how many specs follow from it."""
        return f"{self.first.describe_cause()}; {len(self.follows):,} follow"


@dataclass(frozen=True)
class Coverage:
    """How much of what is expected one stack of a snapshot (or :data:`ANYWHERE`) has.

    ``aside`` is what there is of what is not expected and may be a cause.
    """

    snapshot: str
    stack: str
    findings: list[Finding]
    aside: list[Finding] = field(default_factory=list)

    @property
    def missing(self) -> list[Finding]:
        """What is not there, in the order of the file."""
        return [finding for finding in self.findings if not finding.present]

    def row(self) -> tuple[object, ...]:
        """The cells of :data:`COVERAGE_COLUMNS`."""
        present = [finding for finding in self.findings if finding.present]
        hashed = any(finding.item.hash for finding in self.findings)
        by_hash = sum(finding.found == "hash" for finding in present) if hashed else None
        weights = [finding.weight for finding in self.findings]
        weighted = None
        if None not in weights:
            weighted = sum(one.weight or 0 for one in present) / sum(weight or 0 for weight in weights)
        share = len(present) / len(self.findings)
        missing = [finding.item.text for finding in self.missing]
        causes = [cause.describe() for cause in self.causes] if hashed else None
        return (self.snapshot, self.stack, len(self.findings), len(present), by_hash, share, weighted, missing, causes)

    def item_rows(self) -> list[tuple[object, ...]]:
        """The cells of :data:`ITEM_COLUMNS`, a row for each thing expected."""
        causes: dict[str | None, str] = {}
        for cause in self.causes:
            for one in (cause.first, *cause.follows):
                causes.setdefault(one.item.hash, cause.first.describe_cause())
        return [
            (
                self.snapshot,
                self.stack,
                one.item.text,
                one.item.place,
                one.item.root,
                one.weight,
                one.found,
                one.example.spec.hash if one.example else None,
                describe_misses(one.misses) or None,
                causes.get(one.item.hash),
            )
            for one in self.findings
        ]

    @cached_property
    def causes(self) -> list[Cause]:
        """Why specs of a lock file are not there by their hash: those first from which the most follows.

        A hash is that of the whole graph below it. So a spec that is there but for its hash follows from what it links
        and runs with, or, where all of that is there, from what it is built with.
        """
        gone = {one.item.hash: one for one in (*self.findings, *self.aside) if one.item.hash and one.found != "hash"}
        first = {hash for hash, one in gone.items() if one.misses or one.more or one.example is None}
        dependents: dict[str, list[str]] = defaultdict(list)
        for hash, one in gone.items():
            if hash not in first:
                needed = [other for other in one.item.needs if other in gone]
                for other in needed or [other for other in one.item.builds_with if other in gone]:
                    dependents[other].append(hash)
        expected = {one.item.hash for one in self.findings}
        causes = []
        for hash in first:
            follows = _list_dependents(hash, dependents) & expected
            if follows or hash in expected:
                causes.append(Cause(gone[hash], [gone[one] for one in sorted(follows)]))
        return sorted(causes, key=lambda cause: (-len(cause.follows), cause.first.item.text, cause.first.item.hash))

    def describe_causes(self) -> list[str]:
        """How much of a lock file is not there by hash, and from what that follows, line by line; none where all is."""
        gone = [one for one in self.findings if one.item.hash and one.found != "hash"]
        if not gone:
            return []
        where = "anywhere" if self.stack == ANYWHERE else f"in {self.stack}"
        count = f"{len(gone):,} missing by hash {where}, {number_of(len(self.causes), 'cause')}"
        explained = {one.item.hash for cause in self.causes for one in (cause.first, *cause.follows)}
        lines = [cause.describe() for cause in self.causes]
        if rest := sum(one.item.hash not in explained for one in gone):
            lines.append(f"{rest:,} that differ by their hash alone, or in what is not expected")
        return [f"{count}: {lines[0]}"] if len(lines) == 1 else [f"{count}:", *(f"  {line}" for line in lines)]


def read_expected(path: Path, with_build: bool = False) -> ExpectedList:
    """What a file expects: by its name a ``.yaml``, a ``.lock`` or ``.json``, else a list, a spec to a line.

    ``with_build``: what builds the specs of a lock file, too.

    Raises:
        FileFaultsError: the file says something wrong; each fault names file and line.
        OSError: it cannot be read.
    """
    name = str(path)
    text = read_text(path)
    if path.suffix in (".yaml", ".yml"):
        return parse_environment(text, name)
    if path.suffix in (".lock", ".json"):
        return parse_lock(text, name, with_build)
    return parse_list(text, name)


def measure_coverage(
    connection: duckdb.DuckDBPyConnection,
    items: Sequence[Expected],
    snapshot: str,
    stacks: Sequence[str] = (),
    aside: Sequence[Expected] = (),
) -> list[Coverage]:
    """How much of ``items`` each of ``stacks`` has; without any, all stacks, after :data:`ANYWHERE`.

    Stacks come with the largest share first, then by name. ``aside`` is looked for as well, and counts for nothing.
    """
    packages = [item.package for item in (*items, *aside)]
    named = sorted({package for package in packages if package})
    held = load_specs(connection, [snapshot], packages=None if None in packages else named)
    held.sort(key=lambda one: one.spec.hash)
    by_package: dict[str, list[Held]] = {}
    for one in held:
        by_package.setdefault(one.spec.package, []).append(one)
    tried = []
    weights = weigh_packages(connection, snapshot)
    for item in (*items, *aside):
        candidates = held if item.package is None else by_package.get(item.package, [])
        dependents = item.dependents
        if dependents is None and weights is not None:
            dependents = weights.get(item.package or "", 0)
        tried.append((item, try_item(item, candidates), None if dependents is None else dependents + 1))

    def measure(stack: str) -> Coverage:
        findings = [_find(item, each, stack, weight) for item, each, weight in tried]
        return Coverage(snapshot, stack, findings[: len(items)], findings[len(items) :])

    coverages = [measure(stack) for stack in stacks or list_stacks(connection, [snapshot])]
    coverages.sort(key=lambda coverage: (len(coverage.missing), coverage.stack))
    return coverages if stacks else [measure(ANYWHERE), *coverages]


class Tried(NamedTuple):
    """A candidate, what of an item it misses, and how it differs otherwise: see :class:`Finding`."""

    held: Held
    misses: tuple[Miss, ...]
    more: tuple[Miss, ...]


def try_item(item: Expected, candidates: Sequence[Held]) -> list[Tried]:
    """Each candidate for an item, the best first: the very hash, then the one that differs the least."""
    tried = []
    for one in candidates:
        if one.spec.hash == item.hash:
            tried.append(Tried(one, (), ()))
        else:
            misses = dict.fromkeys(miss for query in item.queries for miss in find_misses(query, one.spec))
            tried.append(Tried(one, tuple(misses), tuple(_compare_more(item, one))))
    tried.sort(key=lambda one: (one.held.spec.hash != item.hash, len(one.misses), len(one.more)))
    return tried


def _compare_more(item: Expected, one: Held) -> Iterator[Miss]:
    """How a candidate differs from a spec of a lock file in what no query asks; what is not known does not differ."""
    if None not in (item.package_hash, one.package_hash) and item.package_hash != one.package_hash:
        yield Miss("recipe", str(item.package_hash)[:7], str(one.package_hash)[:7])
    if item.libc is not None and one.spec.libc_known and item.libc != str(one.spec.libc):
        yield Miss("libc", item.libc, str(one.spec.libc) if one.spec.libc else None)


def _find(item: Expected, tried: Sequence[Tried], stack: str, weight: int | None) -> Finding:
    for one, misses, more in tried:
        if stack in (ANYWHERE, *one.stacks):
            found = "package" if misses else "hash" if one.spec.hash == item.hash else "configuration"
            return Finding(item, found, one, misses, more, weight)
    return Finding(item, "nothing", None, (), (), weight)


def _list_dependents(hash: str, dependents: Mapping[str, Sequence[str]]) -> set[str]:
    """What depends on a spec, and what on that in turn."""
    found: set[str] = set()
    waiting = [hash]
    while waiting:
        new = [one for one in dependents.get(waiting.pop(), ()) if one not in found]
        found.update(new)
        waiting += new
    return found


def weigh_packages(connection: duckdb.DuckDBPyConnection, snapshot: str) -> dict[str, int] | None:
    """How many packages of a snapshot depend directly on each; None where no dependencies are known."""
    rows = connection.execute(
        """
        select dependencies.dependency, count(distinct spec_stacks.package)
        from dependencies
        inner join spec_stacks
            on dependencies.snapshot = spec_stacks.snapshot and dependencies.hash = spec_stacks.hash
        where dependencies.snapshot = $snapshot and dependencies.dependency <> spec_stacks.package
        group by dependencies.dependency
        """,
        {"snapshot": snapshot},
    ).fetchall()
    return dict(rows) if rows else None
