"""How the history of a package looks: stacks by snapshots, where only what changes has ink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.ask.diff import SOURCE_MISSING, WHOLLY_LOST
from pipeline.publish.facts import Row, is_apart
from pipeline.spack.versions import version_key

MINUS = "\N{MINUS SIGN}"
COLUMNS = 12
"""Snapshots that a grid shows at most."""


class GridColumn(NamedTuple):
    """A snapshot: its place among all, that of the one before in its line, whether a week without one lies between."""

    at: int
    before: int | None
    snapshot: str
    label: str
    apart: bool
    opens: bool
    """Whether it is the first of its line that is shown: there every bar is named."""


class Cell(NamedTuple):
    """What a stack has of a package in a snapshot.

    ``look`` is a class of the style sheet: none, here, newer, older, gained, lost, unknown. ``text`` is read by all,
    ``said`` by those alone who do not see the look.
    """

    look: str
    text: str = ""
    said: str = ""
    more: int = 0
    room: bool = False
    """Whether the bar goes on, for as many columns as the text may need where they are narrow."""


class Grid(NamedTuple):
    columns: list[GridColumn]
    rows: list[tuple[Row, list[Cell]]]


def lay_out_grid(package: Mapping[str, Any]) -> Grid:
    """The grid of a package's data; stacks that were seen in none of the columns are left out."""
    columns = choose_columns(package["snapshots"])
    marks = mark_changes(package["changes"])
    rows = []
    for row in sorted(package["history"], key=_urgency):
        cells = find_room([judge_cell(row, column, marks) for column in columns])
        if any(cell.look != "none" for cell in cells):
            rows.append((row, cells))
    return Grid(columns, rows)


def find_room(cells: Sequence[Cell]) -> list[Cell]:
    """The cells of a row, each with whether it has room: a column takes half of eight letters on a phone."""
    rest = [(one.look, one.text) for one in cells]
    found = []
    for at, one in enumerate(cells):
        needed = len(one.text) // 8 + 1
        found.append(one._replace(room=bool(one.text) and rest[at + 1 : at + 1 + needed] == [("here", "")] * needed))
    return found


def choose_columns(snapshots: Sequence[Mapping[str, Any]], most: int = COLUMNS) -> list[GridColumn]:
    """The newest snapshots: one release, the weekly ones and develop, and others as far as there is room."""
    of_kind = {
        kind: [at for at, one in enumerate(snapshots) if one["series"] == kind]
        for kind in ("other", "release", "weekly", "develop")
    }
    line = of_kind["weekly"] + of_kind["develop"]
    shown = line[-(most - 1) :] if of_kind["release"] or of_kind["other"] else line[-most:]
    rest = [*of_kind["other"], *of_kind["release"]]
    shown = rest[len(rest) - min(len(rest), most - len(shown)) :] + shown
    before = {at: line[place - 1] for place, at in enumerate(line) if place}
    before |= {at: one for kind in ("release",) for one, at in zip(of_kind[kind], of_kind[kind][1:], strict=False)}
    columns = []
    for at in shown:
        one, last = snapshots[at], before.get(at)
        apart = last is not None and is_apart(snapshots[last]["date"], one["date"])
        label = one["date"][5:] if one["date"] else one["snapshot"]
        columns.append(GridColumn(at, last, one["snapshot"], label, apart, last not in shown))
    return columns


def mark_changes(changes: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    """By snapshot and stack what else than the version changed: ± for what a user sees, · for the hash alone.

    A minus is a loss: it may be proven against an earlier snapshot than the one before.
    """
    marks: dict[tuple[str, str], str] = {}
    for one in changes:
        if one["change"] == "lost" and one["cause"] != SOURCE_MISSING:
            place = (one["snapshot"], one["stack"])
            mark = MINUS if one["cause"] in WHOLLY_LOST else "±" if one["cause"].endswith(" replaced") else "·"
            marks[place] = "±" if "±" in (mark, marks.get(place)) else mark
    return marks


SAID = {"±": "other variants, compiler or target", "·": "built again"}


def judge_cell(row: Mapping[str, Any], column: GridColumn, marks: Mapping[tuple[str, str], str]) -> Cell:
    """What a stack's row shows in a column."""
    version, more = row["versions"][column.at], row["other_versions"][column.at]
    if not row["known"][column.at]:
        return Cell("unknown", "?", "not known")
    was_known = column.before is not None and row["known"][column.before]
    before = row["versions"][column.before] if column.before is not None else None
    if version is None:
        lost = (was_known and before is not None) or marks.get((column.snapshot, row["stack"])) == MINUS
        return Cell("lost", MINUS, "lost") if lost else Cell("none")
    if before is None:
        return Cell("gained", version, "gained", more) if was_known else Cell("here", version, "", more)
    if version != before:
        newer = version_key(version) >= version_key(before)
        return Cell("newer" if newer else "older", version, "newer" if newer else "older", more)
    mark = marks.get((column.snapshot, row["stack"]), "")
    text = f"{version} {mark}".strip() if column.opens else mark
    return Cell("here", text, SAID.get(mark, ""), more if column.opens else 0)


def _urgency(row: Mapping[str, Any]) -> tuple[object, ...]:
    """Sorts stacks: not known, then behind, then those that hold it, then the others, removed ones last."""
    holds = row["versions_behind"] is not None
    return row["state"] != "unknown", not holds, row["state"] == "removed", -(row["versions_behind"] or 0), row["stack"]
