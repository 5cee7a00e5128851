"""Gates for CI: where a snapshot fails the rules that it must keep.

What cannot be judged, because a snapshot, a stack or a source is not there, fails with that as
its reason: a gate that nothing passes through is not open.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from pipeline.ask.coverage import measure_coverage, read_expected
from pipeline.ask.diff import Question, list_changes
from pipeline.ask.output import Columns
from pipeline.ask.scope import WORDS, Snapshot, find_snapshot, list_not_loaded, list_snapshots, list_stacks
from pipeline.errors import add_near
from pipeline.expected.lists import ExpectedList
from pipeline.io.progress import number_of
from pipeline.io.streams import show_text
from pipeline.schema import ROOT

if TYPE_CHECKING:
    from pipeline.settings import AgeGate, Allowance, CoverageGate, Gates, InstallableGate, LostGate, RowsGate

SHORTFALL_COLUMNS: Columns = (
    ("gate", "VARCHAR"),
    ("snapshot", "VARCHAR"),
    ("stack", "VARCHAR"),
    ("package", "VARCHAR"),
    ("asked", "VARCHAR"),
    ("found", "VARCHAR"),
    ("reason", "VARCHAR"),
    ("place", "VARCHAR"),
)


@dataclass(frozen=True)
class Shortfall:
    """One thing that fails a gate: what was asked, what was found, and why it is so."""

    gate: str
    snapshot: str
    reason: str
    line: int
    stack: str | None = None
    package: str | None = None
    asked: str | None = None
    found: str | None = None


@dataclass
class Verdict:
    """What the gates of a file let pass: everything, where there are no ``shortfalls``.

    ``notes`` are (line, text) of allowances that count no more, or for nothing, and of what ``previous`` skips.
    ``snapshot`` is the one that is judged, None where it is not there.
    """

    gates: Gates
    shortfalls: list[Shortfall] = field(default_factory=list)
    notes: list[tuple[int, str]] = field(default_factory=list)
    snapshot: str | None = None

    def rows(self) -> list[tuple[object, ...]]:
        """The cells of :data:`SHORTFALL_COLUMNS`."""
        return [
            (one.gate, one.snapshot, one.stack, one.package, one.asked, one.found, one.reason, self._place(one.line))
            for one in self.shortfalls
        ]

    def note_lines(self) -> list[str]:
        """The notes, a line each with its place in the file of gates."""
        return [f"{self._place(line)}: {text}" for line, text in self.notes]

    def summary(self) -> str:
        """In one line how many gates hold."""
        failed = len({(one.gate, one.line) for one in self.shortfalls})
        if any(one.gate == "snapshot" for one in self.shortfalls):
            failed = self.gates.count
        return f"{self.gates.name}: {self.gates.count - failed} of {self.gates.count} gates hold"

    def _place(self, line: int) -> str:
        return f"{self.gates.name}:{line}"


@dataclass
class Allowances:
    """What a file allows on a day, and which of it has been of use."""

    allow: Sequence[Allowance]
    today: dt.date
    _used: set[Allowance] = field(default_factory=set)

    def find(self, stack: str, package: str) -> tuple[Allowance | None, list[Allowance]]:
        """The first that allows a package to be missing in a stack, if any; and all that do, or did once."""
        covering = [one for one in self.allow if one.covers(stack, package)]
        self._used.update(covering)
        return next((one for one in covering if not self._is_expired(one)), None), covering

    def list_notes(self, unused: str) -> list[tuple[int, str]]:
        """(line, text) of those that have expired, and of those of no use, of which ``unused`` says what they do."""
        expired = [one for one in self.allow if self._is_expired(one)]
        notes = [(one.line, f"expired on {one.expires}, counts no more: {one.reason}") for one in expired]
        idle = [one for one in self.allow if one not in self._used and one not in expired]
        return notes + [(one.line, f"{unused}: {one.reason}") for one in idle]

    def _is_expired(self, one: Allowance) -> bool:
        return one.expires < self.today


def override(gates: Gates, snapshot: str | None, baseline: str | None) -> Gates:
    """``gates`` of another snapshot, or against another baseline, where these are named."""
    if snapshot is not None:
        gates = gates.model_copy(update={"snapshot": snapshot})
    if baseline is not None and gates.lost is not None:
        gates = gates.model_copy(update={"lost": gates.lost.model_copy(update={"baseline": baseline})})
    return gates


# The judgement


def judge(connection: duckdb.DuckDBPyConnection, gates: Gates, today: dt.date) -> Verdict:
    """Hold the snapshot of ``gates`` to each of them, in the order of :class:`Gates`.

    Raises:
        FileFaultsError: a file of what is expected is wrong.
    """
    verdict = Verdict(gates)
    snapshots = list_snapshots(connection)
    skipped: list[str] = []
    snapshot = find_snapshot(gates.snapshot, None, snapshots, skipped.append)
    verdict.notes += [(gates.line, note) for note in skipped]
    if snapshot is None:
        names = [*(one.name for one in snapshots), *WORDS]
        reason = add_near("cannot be judged: the snapshot is not in the warehouse", gates.snapshot, names)
        verdict.shortfalls.append(Shortfall("snapshot", gates.snapshot, reason, 1))
        return verdict
    verdict.snapshot = snapshot.name
    found = verdict.shortfalls
    stacks = list_stacks(connection, [snapshot.name])
    unknown = _list_unknown(connection, snapshot.name)
    lists: dict[Path, ExpectedList] = {}
    for gate in gates.coverage:
        if gate.expected is not None and gate.expected not in lists:
            lists[gate.expected] = read_expected(gate.expected)
        wanted = lists[gate.expected] if gate.expected is not None else None
        found += judge_coverage(connection, gate, snapshot.name, stacks, wanted, unknown)
    if gates.lost is not None:
        found += judge_lost(connection, gates.lost, snapshot, snapshots, today, verdict.notes, unknown)
    found += judge_rows(connection, gates.rejects, "rejects", snapshot.name)
    found += judge_rows(connection, gates.meta_mismatches, "meta_mismatches", snapshot.name)
    found += judge_fresh(gates.fresh, snapshots, today)
    for installable in gates.installable:
        found += judge_installable(connection, installable, snapshot.name, unknown)
    return verdict


def judge_coverage(
    connection: duckdb.DuckDBPyConnection,
    gate: CoverageGate,
    snapshot: str,
    stacks: Sequence[str],
    wanted: ExpectedList | None,
    unknown: Mapping[str, str],
) -> Iterable[Shortfall]:
    """The stacks of a gate's glob that hold too little or are ``unknown``, the glob itself where it names none."""
    chosen = [stack for stack in stacks if fnmatchcase(stack, gate.stack)]
    if not chosen:
        reason = add_near(
            "cannot be judged: no such stack is in the snapshot; its source may be missing", gate.stack, stacks
        )
        yield Shortfall("coverage", snapshot, reason, gate.line, gate.stack)
        return
    shares: dict[str, tuple[float, str]] = {}
    if wanted is not None:
        for coverage in measure_coverage(connection, wanted.items, snapshot, chosen):
            count, missing = len(coverage.findings), coverage.missing
            listed = ", ".join(one.item.text for one in missing[:5]) + (", …" if len(missing) > 5 else "")
            reason = f"{count - len(missing)} of {count} expected are present; missing: {listed}"
            shares[coverage.stack] = ((count - len(missing)) / count, reason)
    rows = connection.execute(
        "select stack, packages, packages_total, coverage from summary_by_stack where snapshot = ?", [snapshot]
    ).fetchall()
    packages = {}
    for stack, count, total, share in rows:
        packages[stack] = count
        shares.setdefault(stack, (share, f"{count:,} of the snapshot's {total:,} packages are present"))
    for stack in chosen:
        if stack in unknown:
            yield Shortfall("coverage", snapshot, f"cannot be judged: {unknown[stack]}", gate.line, stack)
            continue
        share, reason = shares[stack]
        if gate.minimum is not None and share < gate.minimum:
            asked, got = f"{gate.minimum:g} at least", _show_share(share, gate.minimum)
            yield Shortfall("coverage", snapshot, reason, gate.line, stack, None, asked, got)
        if gate.packages is not None and packages[stack] < gate.packages:
            asked, got = f"{number_of(gate.packages, 'package')} at least", f"{packages[stack]:,}"
            yield Shortfall("coverage", snapshot, "too few packages", gate.line, stack, None, asked, got)


def _show_share(share: float, minimum: float) -> str:
    """A share rounded, but never up to the minimum that it does not reach."""
    return next((text for digits in (4, 8) if float(text := f"{share:.{digits}g}") < minimum), repr(share))


def judge_lost(
    connection: duckdb.DuckDBPyConnection,
    gate: LostGate,
    snapshot: Snapshot,
    snapshots: Sequence[Snapshot],
    today: dt.date,
    notes: list[tuple[int, str]],
    unknown: Mapping[str, str],
) -> Iterable[Shortfall]:
    """The packages that stacks had in the baseline and have no more, and whole stacks that are gone or ``unknown``.

    A package that stood in root alone is lost from there once it is nowhere.
    """
    skipped: list[str] = []
    baseline = find_snapshot(gate.baseline, snapshot, snapshots, skipped.append)
    notes += [(gate.line, note) for note in skipped]
    if baseline is None or baseline == snapshot:
        why = "is not in the warehouse" if baseline is None else "is the snapshot itself"
        names = [*(one.name for one in snapshots), *WORDS] if baseline is None else []
        reason = add_near(f"cannot be judged: the baseline {gate.baseline} {why}", gate.baseline, names)
        yield Shortfall("lost", snapshot.name, reason, gate.line)
        return
    allowances = Allowances(gate.allow, today)

    def explain(stack: str, package: str) -> str | None:
        """What is to be added to the reason of a loss; None: it is allowed."""
        allowed, covering = allowances.find(stack, package)
        if allowed is not None:
            return None
        return "".join(f"; was allowed until {one.expires}: {one.reason}" for one in covering)

    had, has = _list_places(connection, baseline.name), _list_places(connection, snapshot.name)
    for pattern in gate.stacks:
        if not any(fnmatchcase(stack, pattern) for stack, _ in had):
            reason = add_near(
                f"cannot be judged: no such stack is in the baseline {baseline.name}",
                pattern,
                {stack for stack, _ in had},
            )
            yield Shortfall("lost", snapshot.name, reason, gate.line, pattern)
    rejected, unread = _count_rejects(connection, snapshot.name)
    with_pages, indexes = _list_sources(connection, snapshot.name, baseline.name)
    kept_stacks, kept_packages = {stack for stack, _ in has}, {package for _, package in has}
    in_stacks = {package for stack, package in had if stack != ROOT}
    gone: set[str] = set()
    for stack in sorted({stack for stack, _ in had} & {stack for stack, _ in has} & unknown.keys()):
        if any(fnmatchcase(stack, pattern) for pattern in gate.stacks):
            yield Shortfall("lost", snapshot.name, f"cannot be judged: {unknown[stack]}", gate.line, stack)
            gone.add(stack)
    with_it = describe_heads(list_changes(connection, Question(baseline.name, snapshot.name), "head"))
    for stack, package in sorted(had - has):
        if not any(fnmatchcase(stack, pattern) for pattern in gate.stacks) or stack in gone:
            continue
        if stack == ROOT and (package in in_stacks or package in kept_packages):
            continue
        asked = f"as in {baseline.name}"
        if stack != ROOT and stack not in kept_stacks:
            packages = sorted(package for held, package in had if held == stack)
            answers = {package: explain(stack, package) for package in packages}
            missing = [package for package, more in answers.items() if more is not None]
            gone.add(stack)
            if missing:
                why = f"cannot be judged: {unknown[stack]}" if stack in unknown else "the stack was removed"
                reason = f"{why}{answers[missing[0]]}"
                found = f"none of its {number_of(len(packages), 'package')}"
                yield Shortfall("lost", snapshot.name, reason, gate.line, stack, None, asked, found)
            continue
        more = explain(stack, package)
        if more is None:
            continue
        if package in rejected:
            reason = "cannot be judged: specs of the package were rejected"
        elif unread:
            reason = f"lost, or in what could not be read: {number_of(unread, 'file')}"
        elif package in with_pages or stack in indexes:
            reason = "lost" if package in kept_packages else "lost, and in no other stack"
            reason += with_it.get((stack, package), "")
        else:
            reason = "no source of the snapshot lists it: it is lost, or its source is missing"
        yield Shortfall("lost", snapshot.name, reason + more, gate.line, stack, package, asked, "none")
    notes += allowances.list_notes("allows nothing that was lost")


def describe_heads(heads: Sequence[tuple[object, ...]]) -> dict[tuple[object, object], str]:
    """By stack and package, what a lost package went with, or how many went with it; ``heads`` as of ``loss_heads``."""
    counts = Counter((stack, head) for stack, head, _ in heads)
    described = {}
    for stack, head, package in heads:
        others = counts[stack, head] - 1
        if package != head:
            described[stack, package] = f"; went with {head}"
        elif others:
            described[stack, package] = f"; {number_of(others, 'package')} went with it"
    return described


def _list_unknown(connection: duckdb.DuckDBPyConnection, snapshot: str) -> dict[str, str]:
    """Why nothing is known today of a stack of a snapshot, by stack: see the view ``stack_state``."""
    reasons = {one.stack: one.describe() for one in reversed(list_not_loaded(connection, snapshot))}
    rows = connection.execute(
        "select stack from stack_state where snapshot = ? and state = 'unknown' order by stack", [snapshot]
    ).fetchall()
    missing = reasons.get(None, "the stack was removed, or its source is missing")
    return {stack: reasons.get(stack, missing) for (stack,) in rows}


def _list_places(connection: duckdb.DuckDBPyConnection, snapshot: str) -> set[tuple[str, str]]:
    """Every (stack, package) of a snapshot, root included."""
    query = "select distinct stack, package from spec_stacks where snapshot = ?"
    return {(stack, package) for stack, package in connection.execute(query, [snapshot]).fetchall()}


def _list_sources(connection: duckdb.DuckDBPyConnection, snapshot: str, baseline: str) -> tuple[set[str], set[str]]:
    """The packages that the pages of a snapshot answer for, and the stacks that it has an index of.

    They answer for a package by its page, or by having none although the baseline has one: see ``absences``.
    """
    rows = connection.execute("select distinct package, stack from pages where snapshot = ?", [snapshot]).fetchall()
    query = "select package from absences where snapshot = ? and other = ?"
    absent = {package for (package,) in connection.execute(query, [snapshot, baseline]).fetchall()}
    return absent | {package for package, _ in rows if package}, {stack for _, stack in rows if stack}


def _count_rejects(connection: duckdb.DuckDBPyConnection, snapshot: str) -> tuple[set[str], int]:
    """The packages of a snapshot that have rejects, and how many files are of no known snapshot or package."""
    rows = connection.execute(
        "select distinct package, path from rejects where snapshot = ? or snapshot is null", [snapshot]
    ).fetchall()
    return {package for package, _ in rows if package}, len({path for package, path in rows if not package})


def judge_rows(
    connection: duckdb.DuckDBPyConnection, gate: RowsGate | None, relation: str, snapshot: str
) -> Iterable[Shortfall]:
    """That ``rejects`` or ``meta_mismatches`` of a snapshot (and of files of none) are too many."""
    if gate is None:
        return
    where = "snapshot = ? or snapshot is null"
    (count,) = connection.execute(f"select count(*) from {relation} where {where}", [snapshot]).fetchone() or (0,)
    if count > gate.maximum:
        query = f"select * from {relation} where {where} order by all limit 1"
        cursor = connection.execute(query, [snapshot])
        names = [column[0] for column in cursor.description or []]
        first = dict(zip(names, cursor.fetchone() or (), strict=True))
        if relation == "rejects":
            reason = f"such as {first['path']}: {first['place']}: {first['reason']}"
        else:
            reason = f"such as {first['package']}: {first['field']}: said {first['said']}, found {first['found']}"
        asked, found = f"{gate.maximum:,} at most", f"{count:,}"
        yield Shortfall(relation, snapshot, " ".join(reason.split()), gate.line, None, None, asked, found)


def judge_fresh(gate: AgeGate | None, snapshots: Sequence[Snapshot], today: dt.date) -> Iterable[Shortfall]:
    """That the newest weekly snapshot is too old, or there is none."""
    if gate is None:
        return
    newest = next((one for one in snapshots if one.kind == "weekly" and one.date), None)
    if newest is None or newest.date is None:
        reason = "cannot be judged: no weekly snapshot is in the warehouse"
        yield Shortfall("fresh", "", reason, gate.line)
        return
    age = (today - dt.date.fromisoformat(newest.date)).days
    if age > gate.days:
        asked, found = f"{number_of(gate.days, 'day')} old at most", number_of(age, "day")
        reason = f"the newest weekly snapshot is stale on {today}"
        yield Shortfall("fresh", newest.name, reason, gate.line, None, None, asked, found)


def judge_installable(
    connection: duckdb.DuckDBPyConnection, gate: InstallableGate, snapshot: str, unknown: Mapping[str, str]
) -> Iterable[Shortfall]:
    """The stacks of a gate's glob, root included, of whose specs too few install without building, or are known to.

    Where root could not be read today, what it holds may be what is missing.
    """
    not_loaded = {one.stack: one.describe() for one in list_not_loaded(connection, snapshot)}
    rows = connection.execute(
        """
        select stack, count(*), count(*) filter (where installable), count(installable)
        from spec_stacks
        where snapshot = ?
        group by stack
        order by stack
        """,
        [snapshot],
    ).fetchall()
    chosen = [row for row in rows if fnmatchcase(row[0], gate.stack)]
    if not chosen:
        held = [stack for stack, *_ in rows]
        reason = add_near(
            "cannot be judged: no such stack is in the snapshot; its source may be missing", gate.stack, held
        )
        yield Shortfall("installable", snapshot, reason, gate.line, gate.stack)
    for stack, specs, installable, known in chosen:
        why = unknown.get(stack)
        share = installable / specs
        if why is None and share < gate.minimum:
            why = not_loaded.get(ROOT)
            if (installable + specs - known) / specs >= gate.minimum:
                why = why or f"no source says it of {number_of(specs - known, 'spec')}, as pages do not"
        if why is not None:
            yield Shortfall("installable", snapshot, f"cannot be judged: {why}", gate.line, stack)
        elif share < gate.minimum:
            asked, got = f"{gate.minimum:g} at least", _show_share(share, gate.minimum)
            reason = f"{installable:,} of {number_of(specs, 'spec')} install without building: see missing_dependencies"
            yield Shortfall("installable", snapshot, reason, gate.line, stack, None, asked, got)


# Annotations


def annotate(verdict: Verdict) -> list[str]:
    """GitHub's workflow commands for what fails, and warnings for the notes, each a line."""
    lines = []
    for one in verdict.shortfalls:
        title = ", ".join(filter(None, (one.gate, one.stack, one.package)))
        parts = [f"asked {one.asked}, found {one.found}" if one.asked else "", one.reason]
        message = f"{one.snapshot}: {': '.join(filter(None, parts))}" if one.snapshot else one.reason
        lines.append(_command("error", verdict.gates.name, one.line, title, message))
    lines += [_command("warning", verdict.gates.name, line, "allowance", text) for line, text in verdict.notes]
    return lines


def _command(level: str, file: str, line: int, title: str, message: str) -> str:
    properties = {"file": file, "line": str(line), "title": title}
    listed = ",".join(f"{name}={_escape(value, ':,')}" for name, value in properties.items())
    return f"::{level} {listed}::{_escape(message)}"


def _escape(text: str, more: str = "") -> str:
    """As ``escapeData`` and ``escapeProperty`` of GitHub's toolkit (``packages/core/src/command.ts``), safe to show."""
    return "".join(f"%{ord(one):02X}" if one in f"%\r\n{more}" else show_text(one) for one in text)
