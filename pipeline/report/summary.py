"""A snapshot in short, as Markdown: for the summary of a workflow's step and for a mail.

Of every part only the first rows are listed, and how many there are, so that a summary of any snapshot
stays far below what GitHub takes for a step (1,024 KiB). Cells from the data show as they are: nothing
in them is markup, a link or a line's end.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from pipeline.ask.diff import WHOLLY_LOST, Comparison, SnapshotDiff, compare_with_previous, group_losses
from pipeline.ask.gaps import judge_gaps, rank_gaps
from pipeline.ask.gates import SHORTFALL_COLUMNS
from pipeline.ask.scope import Snapshot, list_not_loaded, list_snapshots
from pipeline.errors import NoWarehouseError
from pipeline.layout import Layout
from pipeline.report.installs import find_installs
from pipeline.report.shared import Shared
from pipeline.store.database import open_database

SHOWN_GAPS, SHOWN_CHANGES, SHOWN_LOST = 10, 20, 100
LONGEST = 120
"""Characters of a cell."""

_MARKUP = re.compile(r"""[\\`*\[\]|~#!$@:"'(){}]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])|(?<=www)\.""", re.IGNORECASE)
Row = Sequence[object]


HEAD = (
    ("date", "date"),
    ("packages", "packages"),
    ("specs", "specs"),
    ("stacks", "stacks"),
    ("rejects", "rejects"),
    ("meta mismatches", "mismatches"),
)
"""The head figures: name, and which of :class:`pipeline.report.shared.Figures`."""


def write_summary(shared: Shared, compared: Comparison) -> str:
    """The summary of a snapshot: head figures, lost and gained since the one before, and the largest gaps.

    The one before is ``previous``: that of its series whose sources are all loaded, for ``develop`` the newest
    weekly one.
    """
    this, before, skipped, changes = compared
    snapshot, connection = this.name, shared.connection
    lines = [f"# Coverage of {escape(snapshot)}", "", *_compare_head(shared, this, before)]
    lines += _list_not_of_today(connection, snapshot)
    lines += [line for note in skipped for line in (f"{escape(note)}.", "")]
    lines += _list_libcs(connection, snapshot)
    lines += _list_missing(shared, snapshot)
    if changes is None:
        lines += ["No earlier snapshot of its series is in the warehouse to compare it with.", ""]
    else:
        lines += _list_lost(connection, changes)
        lines += _list_gained(changes)
    listed = shared.rows_of("gaps", snapshot)
    gaps = judge_gaps(connection, rank_gaps(connection, snapshot, most=SHOWN_GAPS, among=listed))
    ((count,),) = connection.execute(f"select count(*) from {listed}").fetchall()
    lines += ["## Largest gaps", ""]
    if gaps:
        lines += ["Packages that a stack lacks and the most other stacks of its platform have.", ""]
        # Pages say nothing of what is needed.
        header = (
            "package",
            "missing in",
            "platform",
            "stacks that have it",
            *(["state"] if any(gap.state for gap in gaps) else []),
        )
        rows = [(gap.package, gap.stack, gap.platform, gap.held_by, gap.describe())[: len(header)] for gap in gaps]
        lines += [*make_table(header, rows), ""]
        lines += _say_more(count, len(rows), "gaps")
    else:
        lines += ["No stack lacks what another of its platform has.", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def escape(value: object) -> str:
    """``value`` as text that Markdown shows as it is, in one line of at most :data:`LONGEST` characters."""
    text = f"{value:,}" if isinstance(value, int) else str(value)
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    if len(text) > LONGEST:
        text = text[: LONGEST - 1] + "…"
    text = _MARKUP.sub(lambda found: "\\" + found[0], text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def make_table(header: Sequence[str], rows: Iterable[Row]) -> list[str]:
    """The lines of a table of GitHub's Markdown; columns of numbers are on the right."""
    held = [["" if value is None else value for value in row] for row in rows]
    right = [bool(held) and all(isinstance(row[at], int) for row in held) for at in range(len(header))]
    return [
        "| " + " | ".join(header) + " |",
        "| " + " | ".join("---:" if one else "---" for one in right) + " |",
        *("| " + " | ".join(map(escape, row)) + " |" for row in held),
    ]


def _compare_head(shared: Shared, this: Snapshot, before: Snapshot | None) -> list[str]:
    now = [(name, getattr(shared.figures(this.name), figure)) for name, figure in HEAD]
    if before is None:
        return [*make_table(("", escape(this.name)), [row for row in now if row[1] is not None]), ""]
    then = [getattr(shared.figures(before.name), figure) for _, figure in HEAD]
    compared = [
        (name, new, old, _show_change(new - old) if isinstance(new, int) and isinstance(old, int) else "")
        for (name, new), old in zip(now, then, strict=True)
        if new is not None or old is not None
    ]
    return [*make_table(("", escape(this.name), escape(before.name), "change"), compared), ""]


def _list_not_of_today(connection: duckdb.DuckDBPyConnection, snapshot: str) -> list[str]:
    """Which sources of the snapshot are not of today."""
    rows = [
        (one.state, one.last_seen, one.stack, one.source, one.reason) for one in list_not_loaded(connection, snapshot)
    ]
    if not rows:
        return []
    table = make_table(("state", "last seen", "stack", "source", "reason"), rows[:SHOWN_CHANGES])
    return ["Not of today:", "", *table, "", *_say_more(len(rows), SHOWN_CHANGES, "sources")]


def _list_libcs(connection: duckdb.DuckDBPyConnection, snapshot: str) -> list[str]:
    """Which C libraries the specs need of their host; nothing where no source says."""
    rows = connection.execute(
        "select libc, packages, specs from summary_by_libc where snapshot = ? order by specs desc, libc", [snapshot]
    ).fetchall()
    if all(libc == "unknown" for libc, *_ in rows):
        return []
    table = make_table(("libc", "packages", "specs"), rows[:SHOWN_CHANGES])
    return ["## C library that specs need", "", *table, "", *_say_more(len(rows), SHOWN_CHANGES, "answers")]


def _list_missing(shared: Shared, snapshot: str) -> list[str]:
    """What does not install without building, and what is missing for it; nothing where no source says."""
    found = find_installs(shared, snapshot, SHOWN_CHANGES)
    if found is None:
        return []
    lines = ["## Installs without building", ""]
    lines += [f"{found.installable:,} of {found.known:,} specs do: a cache has all that they link and run with.", ""]
    if found.stacks:
        lines += [*make_table(("stack", "specs", "installable"), found.stacks), ""]
        lines += _say_more(found.broken_stacks, SHOWN_CHANGES, "stacks where some are not installable")
    if found.missing:
        rows = [(package, hash, reason, specs, len(stacks)) for package, hash, reason, specs, stacks in found.missing]
        lines += ["Missing, and how many specs and stacks lack it:", ""]
        lines += [*make_table(("package", "hash", "reason", "specs", "stacks"), rows), ""]
        lines += _say_more(found.missing_parts, SHOWN_CHANGES, "missing specs")
    return lines


def _show_change(by: int) -> str:
    return f"{by:+,}" if by else "0"


def _list_lost(connection: duckdb.DuckDBPyConnection, changes: SnapshotDiff) -> list[str]:
    """The packages that left the snapshot, then every cause, then what else is gone from stacks."""
    summary = changes.summary
    lines = [f"## Lost since {escape(changes.asked.before)}", ""]
    gone = _list_gone(connection, changes)
    if gone:
        lines += ["Packages that no stack of the snapshot has any more, nor its root:", ""]
        lines += _list_by_head(changes, gone, "stacks that had it", SHOWN_LOST)
    unknown = sum(int(str(row[-1])) for row in summary.unknown)
    if not summary.causes:
        lines += ["No stack is known to have lost anything." if unknown else "No stack lost anything.", ""]
    else:
        lines += [*make_table(("cause", "packages", "specs", "stacks"), summary.causes), ""]
        losses = _join_stacks(changes, [package for package, *_ in gone])
        if losses:
            others = "Other packages" if gone else "Packages"
            lines += [f"{others} that are gone from stacks, those that are gone from the most first:", ""]
            lines += _list_by_head(changes, losses, "stacks that lost it", SHOWN_CHANGES)
    if unknown:
        lines += [
            f"Of {unknown:,} specs, counted in each stack, it is not known whether they are lost: "
            "no source lists them.",
            "",
        ]
    return lines


def _list_by_head(changes: SnapshotDiff, rows: Sequence[tuple[object, ...]], stacks: str, shown: int) -> list[str]:
    """Rows of package, stacks and specs as a table, where a package stands with the one that it went with."""
    specs = {str(package): int(str(count)) for package, _, count in rows}
    groups = group_losses(changes.heads, specs)
    grouped = [
        (
            package,
            ", ".join(others := groups[str(package)]),
            names,
            specs[str(package)] + sum(specs[other] for other in others),
        )
        for package, names, _ in rows
        if package in groups
    ]
    # Pages say nothing of what is needed.
    if len(grouped) == len(rows):
        table = make_table(("package", stacks, "specs"), rows[:shown])
        return [*table, "", *_say_more(len(rows), shown, "packages")]
    table = make_table(("package", "went with it", stacks, "specs"), grouped[:shown])
    return [*table, "", *_say_more(len(grouped), shown, "packages that went with no other")]


def _list_gone(connection: duckdb.DuckDBPyConnection, changes: SnapshotDiff) -> list[tuple[object, ...]]:
    """The packages that left the snapshot: a row for each, with the stacks it had and its specs."""
    names = [package for change, package, proven in changes.turnover if change == "lost" and proven]
    return connection.execute(
        """
        select
            package,
            array_to_string(list_sort(list_distinct(flatten(array_agg(stacks)))), ', ') as names,
            count(*) as specs,
        from specs
        where snapshot = $before and list_contains($names, package)
        group by package
        order by len(list_distinct(flatten(array_agg(stacks)))) desc, count(*) desc, package
        """,
        {"before": changes.asked.before, "names": names},
    ).fetchall()


def _join_stacks(changes: SnapshotDiff, without: Collection[object]) -> list[tuple[object, ...]]:
    """The packages that stacks no longer hold, ``without`` some: a row for each, with its stacks and specs."""
    stacks: dict[str, set[str]] = defaultdict(set)
    specs: Counter[str] = Counter()
    for row in changes.lost:
        one = dict(zip(changes.lost_columns, map(str, row), strict=True))
        if one["cause"] in WHOLLY_LOST and one["package"] not in without:
            stacks[one["package"]].add(one["stack"])
            specs[one["package"]] += int(one["specs"])
    ranked = sorted(stacks, key=lambda package: (-len(stacks[package]), -specs[package], package))
    return [(package, ", ".join(sorted(stacks[package])), specs[package]) for package in ranked]


def _list_gained(changes: SnapshotDiff) -> list[str]:
    lines = [f"## Gained since {escape(changes.asked.before)}", ""]
    gained: dict[str, tuple[int, set[str]]] = {}
    for change, package, version, *_ in changes.configurations:
        if change == "gained":
            count, versions = gained.setdefault(str(package), (0, set()))
            gained[str(package)] = (count + 1, versions | {str(version)})
    if not gained:
        return [*lines, "No configuration is new.", ""]
    counts = [(stack or "root alone", packages, count) for _, _, _, stack, packages, count in changes.summary.gains]
    lines += [*make_table(("stack", "packages", "new configurations"), counts[:SHOWN_CHANGES]), ""]
    lines += _say_more(len(counts), SHOWN_CHANGES, "stacks")
    ranked = sorted(gained.items(), key=lambda item: (-item[1][0], item[0]))
    rows = [(package, count, ", ".join(sorted(versions))) for package, (count, versions) in ranked[:SHOWN_CHANGES]]
    lines += ["Packages with the most new configurations:", ""]
    lines += [*make_table(("package", "new configurations", "versions"), rows), ""]
    return lines + _say_more(len(ranked), SHOWN_CHANGES, "packages")


def _say_more(count: int, shown: int, what: str) -> list[str]:
    return [f"The first {shown:,} of {count:,} {what}.", ""] if count > shown else []


SHOWN = 50
"""So many rows of what fails are listed; their number always is."""


@dataclass(frozen=True)
class Found:
    """What a run found: ``steps`` are (status, message) by step, ``shortfalls`` rows of the gates' columns.

    ``failures`` are (step, reason); ``snapshot`` is the one that was judged, if any.
    """

    status: str
    steps: Mapping[str, tuple[str, str]]
    failures: Sequence[tuple[str, str]]
    shortfalls: Sequence[tuple[object, ...]]
    snapshot: str | None


def summarise_run(found: Found, layout: Layout) -> str:
    """A run's summary; without a warehouse, or without the snapshot in it, no snapshot's summary follows."""
    lines = [f"# Spack Warehouse: {escape(found.snapshot or 'no snapshot')}: {escape(found.status)}", ""]
    steps = [(step, status, message) for step, (status, message) in found.steps.items()]
    lines += [*make_table(("step", "status", ""), steps), ""]
    if found.failures:
        lines += ["## What could not be done", ""]
        lines += [*make_table(("step", "reason"), found.failures[:SHOWN]), *_say_first(len(found.failures)), ""]
    if found.shortfalls:
        names = [name for name, _ in SHORTFALL_COLUMNS]
        lines += ["## What fails", ""]
        lines += [*make_table(names, found.shortfalls[:SHOWN]), *_say_first(len(found.shortfalls)), ""]
    return "\n".join(lines) + _summarise_snapshot(found.snapshot, layout)


def _say_first(count: int) -> list[str]:
    return ["", f"The first {SHOWN:,} of {count:,}."] if count > SHOWN else []


def _summarise_snapshot(snapshot: str | None, layout: Layout) -> str:
    if snapshot is None:
        return ""
    try:
        with open_database(layout) as connection:
            held = [one.name for one in list_snapshots(connection)]
            if snapshot not in held:
                return ""
            return "\n" + write_summary(Shared(connection), compare_with_previous(connection, snapshot))
    except NoWarehouseError:
        return ""
