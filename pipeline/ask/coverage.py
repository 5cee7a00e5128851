"""What stacks lack: of what others hold, or of what a file expects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipeline.ask.environment import parse_environment
from pipeline.ask.expected import Expected, ExpectedList, parse_list
from pipeline.ask.have import Held, describe_misses, load_specs
from pipeline.ask.lock import parse_lock
from pipeline.ask.output import Columns
from pipeline.ask.scope import list_stacks
from pipeline.spack.spec import Miss, find_misses
from pipeline.yamlfiles.values import read_text

ANYWHERE = "*"
"""In place of a stack: any of them, or root."""

GAP_COLUMNS: Columns = (
    ("snapshot", "VARCHAR"),
    ("stack", "VARCHAR"),
    ("package", "VARCHAR"),
    ("platform", "VARCHAR"),
    ("held_by", "BIGINT"),
    ("stacks", "VARCHAR[]"),
)
COVERAGE_COLUMNS: Columns = (
    ("snapshot", "VARCHAR"),
    ("stack", "VARCHAR"),
    ("expected", "BIGINT"),
    ("present", "BIGINT"),
    ("by_hash", "BIGINT"),
    ("share", "DOUBLE"),
    ("weighted_share", "DOUBLE"),
    ("missing", "VARCHAR[]"),
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
)


@dataclass(frozen=True)
class Finding:
    """What there is of one expected spec in one place.

    ``found`` is ``hash`` (the very one), ``configuration`` (another that is all that was asked),
    ``package`` (the package, but not so) or ``nothing``; ``example`` is it, ``misses`` is what it fails on.
    ``weight`` is one more than the packages, or specs of a lock file, that depend on it directly.
    """

    item: Expected
    found: str
    example: Held | None
    misses: tuple[Miss, ...]
    weight: int | None

    @property
    def present(self) -> bool:
        return self.found in ("hash", "configuration")

    def describe(self) -> str:
        """In one line what is missing, and why."""
        why = f"nearest: {describe_misses(self.misses)}" if self.misses else "nothing of the package is there"
        return f"{self.item.place}: {self.item.text}: {why}"


@dataclass(frozen=True)
class Coverage:
    """How much of what is expected one stack of a snapshot (or :data:`ANYWHERE`) has."""

    snapshot: str
    stack: str
    findings: list[Finding]

    @property
    def missing(self) -> list[Finding]:
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
        return (self.snapshot, self.stack, len(self.findings), len(present), by_hash, share, weighted, missing)

    def item_rows(self) -> list[tuple[object, ...]]:
        """The cells of :data:`ITEM_COLUMNS`, a row for each thing expected."""
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
            )
            for one in self.findings
        ]


def read_expected(path: Path) -> ExpectedList:
    """What a file expects: by its name a ``.yaml``, a ``.lock`` or ``.json``, else a list, a spec to a line.

    Raises:
        FileFaultsError: the file says something wrong; each fault names file and line.
        OSError: it cannot be read.
    """
    name = str(path)
    text = read_text(path)
    if path.suffix in (".yaml", ".yml"):
        return parse_environment(text, name)
    if path.suffix in (".lock", ".json"):
        return parse_lock(text, name)
    return parse_list(text, name)


def count_gaps(connection: duckdb.DuckDBPyConnection, snapshot: str) -> int:
    """How many rows the view ``gaps`` has of a snapshot."""
    (count,) = connection.execute("select count(*) from gaps where snapshot = ?", [snapshot]).fetchone() or (0,)
    return int(count)


def rank_gaps(
    connection: duckdb.DuckDBPyConnection, snapshot: str, stacks: Sequence[str] = (), most: int | None = None
) -> list[tuple[object, ...]]:
    """Rows of the view ``gaps`` in a snapshot, what the most other stacks hold first: all, or at ``most`` so many."""
    where = "and list_contains($stacks, stack)" if stacks else ""
    given: dict[str, object] = {"snapshot": snapshot, **({"stacks": list(stacks)} if stacks else {})}
    return connection.execute(
        f"""
        select snapshot, stack, package, platform, held_by, stacks
        from gaps
        where snapshot = $snapshot {where}
        order by held_by desc, stack, package, platform
        {"" if most is None else f"limit {most}"}
        """,
        given,
    ).fetchall()


def measure_coverage(
    connection: duckdb.DuckDBPyConnection, items: Sequence[Expected], snapshot: str, stacks: Sequence[str] = ()
) -> list[Coverage]:
    """How much of ``items`` each of ``stacks`` has; without any, all stacks, after :data:`ANYWHERE`.

    Stacks come with the largest share first, then by name.
    """
    packages = [item.package for item in items]
    named = sorted({package for package in packages if package})
    held = load_specs(connection, [snapshot], packages=None if None in packages else named)
    held.sort(key=lambda one: one.spec.hash)
    by_package: dict[str, list[Held]] = {}
    for one in held:
        by_package.setdefault(one.spec.package, []).append(one)
    tried = []
    weights = weigh_packages(connection, snapshot)
    for item in items:
        candidates = held if item.package is None else by_package.get(item.package, [])
        dependents = item.dependents
        if dependents is None and weights is not None:
            dependents = weights.get(item.package or "", 0)
        tried.append((item, try_item(item, candidates), None if dependents is None else dependents + 1))
    coverages = [
        Coverage(snapshot, stack, [_find(item, misses, stack, weight) for item, misses, weight in tried])
        for stack in stacks or list_stacks(connection, [snapshot])
    ]
    coverages.sort(key=lambda coverage: (len(coverage.missing), coverage.stack))
    if not stacks:
        anywhere = [_find(item, misses, ANYWHERE, weight) for item, misses, weight in tried]
        coverages.insert(0, Coverage(snapshot, ANYWHERE, anywhere))
    return coverages


def try_item(item: Expected, candidates: Sequence[Held]) -> list[tuple[Held, tuple[Miss, ...]]]:
    """Each candidate and what of ``item`` it misses, the best first: the very hash, then the fewest misses."""
    tried = []
    for one in candidates:
        misses = dict.fromkeys(miss for query in item.queries for miss in find_misses(query, one.spec))
        tried.append((one, () if one.spec.hash == item.hash else tuple(misses)))
    tried.sort(key=lambda pair: (pair[0].spec.hash != item.hash, len(pair[1])))
    return tried


def _find(item: Expected, tried: Sequence[tuple[Held, tuple[Miss, ...]]], stack: str, weight: int | None) -> Finding:
    for one, misses in tried:
        if stack in (ANYWHERE, *one.stacks):
            found = "package" if misses else "hash" if one.spec.hash == item.hash else "configuration"
            return Finding(item, found, one, misses, weight)
    return Finding(item, "nothing", None, (), weight)


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
