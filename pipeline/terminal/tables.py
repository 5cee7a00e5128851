"""Answers as CSV, JSON or a table for people, which is as wide as the terminal, and in a pipe as a page.

What every row of a table has alike stands once above it, and columns without any value are left out. Lists are cut to
what there is room for, such as ``e4s +14``; a table that is wider than the terminal is split where its layout says so,
then it loses columns by their rank, then long texts go on below. Colours mean something, or are none: on a
terminal alone, and not where ``NO_COLOR`` is set (https://no-color.org).
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import click
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.ask.output import Columns, render_csv, render_json
from pipeline.errors import suggest
from pipeline.io.streams import is_terminal, is_utf8, say, show_text, write_data, write_styled
from pipeline.terminal.layouts import Layout, Look
from pipeline.terminal.shape import Shape

PAGE = 120
"""Columns of a table that is written to a pipe or file."""
GAP = 2
BETWEEN = "   "
NOTHING = "-"
HASH_LETTERS = 7
LEAST_TEXT, LEAST_LIST = 12, 24
FULL = Look("text", stays=True)


def print_rows(columns: Columns, rows: Iterable[Sequence[object]], shape: Shape, layout: Layout) -> None:
    """Write ``rows`` to stdout; a table without rows is nothing.

    CSV is that of the reports: a text that a spreadsheet would take for a formula has a leading ``'``,
    lists are JSON, NULL is an empty cell. JSON is an array of objects, one to a line.

    Raises:
        BadParameter: the answer has not all of the shape's columns.
    """
    held = [tuple(map(_keep_utf8, row)) for row in rows]
    if shape.columns:
        columns, held = choose_columns(columns, held, shape.columns)
    if shape.format == "csv":
        write_data([render_csv(columns, held).encode()])
    elif shape.format == "json":
        write_data([render_json(columns, held).encode()])
    elif held:
        table = [Shown(name, FULL, [row[at] for row in held]) for at, (name, _) in enumerate(columns)]
        if not shape.is_laid_out:
            write_styled(render(table, [], None))
            return
        width = measure_terminal() or PAGE
        print_laid_out([replace(one, look=layout[one.name]) for one in table if one.name in layout], width)


def measure_terminal() -> int | None:
    """The columns of the terminal that stdout is; None of a pipe or file."""
    return shutil.get_terminal_size((PAGE, 24)).columns if is_terminal() else None


def fold(line: str, indent: int, width: int) -> str:
    """A line that fits into ``width`` columns: what has no room goes on below, after ``indent`` blanks."""
    if cell_len(line) <= width:
        return line
    indent = min(indent, width // 2)
    text = Text(line[indent:]).wrap(Console(), width - indent, overflow="fold")
    return line[:indent] + f"\n{' ' * indent}".join(part.plain.rstrip() for part in text)


def print_laid_out(table: Sequence[Shown], width: int) -> None:
    """Write the columns of a table within ``width``; on stderr, those that it has no room for."""
    shown, facts = lift_facts(table)
    fitting, left_out = fit(shown, width)
    parts = [(fitting, facts)]
    if left_out or any(one.is_folded for one in fitting):
        lifted = [lift_facts(part) for part in split(table)]
        fitted = [fit(shown, width) for shown, _ in lifted]
        parts = [(fitting, facts) for (fitting, _), (_, facts) in zip(fitted, lifted, strict=True)]
        left_out = list(dict.fromkeys(name for _, names in fitted for name in names))
    for number, (fitting, facts) in enumerate(parts):
        write_styled("\n" * (number > 0) + render(fitting, facts, width))
    if left_out:
        say(f"no room for: {', '.join(left_out)}; all: --wide")


def print_sections(
    sections: Iterable[tuple[Columns, Sequence[Sequence[object]]]], shape: Shape, layout: Layout
) -> None:
    """Write the columns and rows of several tables, with an empty line between two."""
    filled = [section for section in sections if section[1]]
    for number, (columns, rows) in enumerate(filled):
        if number:
            write_styled("\n")
        print_rows(columns, rows, shape, layout)


def _keep_utf8(value: object) -> object:
    """The name of a file may hold bytes that are not UTF-8: they are shown as escapes."""
    return show_text(value) if isinstance(value, str) and not is_utf8(value) else value


def choose_columns(
    columns: Columns, rows: Sequence[Sequence[object]], names: Sequence[str]
) -> tuple[Columns, list[tuple[object, ...]]]:
    """The columns and cells of ``names``, in their order.

    Raises:
        BadParameter: there is no such column.
    """
    held = [name for name, _ in columns]
    for name in names:
        if name not in held:
            raise click.BadParameter(f"no column {name!r}; {suggest(name, held)}", param_hint="--columns")
    places = [held.index(name) for name in names]
    return [columns[at] for at in places], [tuple(row[at] for at in places) for row in rows]


@dataclass(frozen=True)
class Shown:
    """A column of a table with the values of its rows; ``width`` is how wide it may be, None: as wide as its cells."""

    name: str
    look: Look
    values: Sequence[object]
    width: int | None = None

    @property
    def is_folded(self) -> bool:
        """Whether a text, other than a list, goes on below."""
        return self.width is not None and self.measure(self.width) > self.width

    @property
    def is_empty(self) -> bool:
        return all(value is None or value == [] for value in self.values)

    @property
    def has_lists(self) -> bool:
        return any(isinstance(value, list) for value in self.values)

    @property
    def is_number(self) -> bool:
        return any(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)

    def cells(self, width: int | None = None) -> list[str]:
        """The text of each row; lists as wide as they may be."""
        return [spell(value, self.look, width) for value in self.values]

    def measure(self, width: int | None = None) -> int:
        return max(map(cell_len, (self.name, *self.cells(width))))

    @cached_property
    def least(self) -> int:
        """How narrow it can be and still be read."""
        wanted = self.measure()
        if self.look.kind not in ("long", "set"):
            return wanted
        if self.has_lists:
            return max(self.measure(0), min(wanted, LEAST_LIST))
        return max(self.longest_word, min(wanted, LEAST_LIST))

    @cached_property
    def longest_word(self) -> int:
        """How narrow it can be without a word that is cut."""
        return max(map(cell_len, (self.name, *(word for cell in self.cells(0) for word in cell.split()))))


def spell(value: object, look: Look, width: int | None) -> str:
    """A value as people read it, a list in so many columns, or at least its first item."""
    match value:
        case None | []:
            return NOTHING
        case bool():
            return str(value).lower()
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case list() | tuple():
            return name_within([show_text(str(one)) for one in value], width)
    text = show_text(str(value))
    return text[:HASH_LETTERS] if look.kind == "hash" else text


def name_within(names: Sequence[str], width: int | None) -> str:
    """As many of ``names`` as fit into ``width``, the first at least, and how many more there are: ``e4s +14``."""
    text = ", ".join(names)
    for count in range(len(names) - 1, 0, -1):
        if width is None or cell_len(text) <= width:
            break
        text = f"{', '.join(names[:count])} +{len(names) - count:,}"
    return text


def split(table: Sequence[Shown]) -> list[list[Shown]]:
    """A table as one for each run of rows that have the same in the columns that split it; these stay in none."""
    splitting = [one.values for one in table if one.look.splits]
    runs = [list(run) for _, run in groupby(range(len(table[0].values)), lambda at: [one[at] for one in splitting])]
    return [
        [
            replace(
                one,
                look=replace(one.look, stays=one.look.stays and not one.look.splits and len(run) > 1),
                values=[one.values[at] for at in run],
            )
            for one in table
        ]
        for run in runs
    ]


def lift_facts(columns: Sequence[Shown]) -> tuple[list[Shown], list[tuple[str, str]]]:
    """The columns that differ by row, or stay, and what of the others is the same for all, with its name.

    Columns without any value are in neither.
    """
    shown, facts = [], []
    for one in columns:
        if one.is_empty:
            continue
        first = one.values[0]
        if not one.look.stays and all(value == first for value in one.values):
            facts.append((one.name, spell(first, one.look, None)))
        elif one.look.kind == "set" and one.has_lists:
            lists = [value if isinstance(value, list) else [] for value in one.values]
            alike = [item for item in lists[0] if all(item in other for other in lists)]
            if alike:
                facts.append((one.name, spell(alike, one.look, None)))
            shown.append(replace(one, values=[[item for item in items if item not in alike] for items in lists]))
        else:
            shown.append(one)
    return shown, facts


def fit(columns: Sequence[Shown], width: int) -> tuple[list[Shown], list[str]]:
    """The columns that ``width`` has room for, with their widths, and the names of those that it has none for.

    Where not even those without rank have room, they are folded: long ones first, then between words, then anywhere.
    """
    kept, left_out = list(columns), []
    while sum(one.least + GAP for one in kept) - GAP > width and kept[1:] and any(one.look.rank for one in kept):
        last = max(kept, key=lambda one: one.look.rank)
        kept.remove(last)
        left_out.append(last.name)
    room = width - GAP * (len(kept) - 1)
    widths = {one.name: one.least for one in kept}
    words = {one.name: one.longest_word for one in kept}
    long = {one.name: max(words[one.name], LEAST_TEXT) for one in kept if one.look.kind in ("long", "set")}
    for floors in ({**widths, **long}, words, dict.fromkeys(words, 1)):
        _narrow(widths, floors, room)
    wanted = {one.name: max(one.measure() - widths[one.name], 0) for one in kept}
    free = max(room - sum(widths.values()), 0)
    # Who wants little has it; the others share what is left.
    for place, name in enumerate(sorted(wanted, key=lambda name: wanted[name])):
        given = min(wanted[name], free // (len(wanted) - place))
        widths[name] += given
        free -= given
    return [replace(one, width=widths[one.name]) for one in kept], left_out


def _narrow(widths: dict[str, int], floors: Mapping[str, int], room: int) -> None:
    """Take from the widest, none below its floor, until all have room, or none has anything left."""
    while sum(widths.values()) > room and (wide := [name for name in widths if widths[name] > floors[name]]):
        widths[max(wide, key=lambda name: widths[name])] -= 1


def render(columns: Sequence[Shown], facts: Sequence[tuple[str, str]], width: int | None) -> str:
    """The text of a table below its facts; without a ``width`` its lines are as long as they have to be."""
    colour = is_terminal() and not os.environ.get("NO_COLOR")
    longest = sum(one.measure() + GAP for one in columns) if width is None else width
    console = Console(file=io.StringIO(), width=longest, force_terminal=colour, color_system="auto" if colour else None)
    with console.capture() as captured:
        if facts:
            for line in _fill_lines(facts, longest):
                parts = [Text.assemble((f"{name}: ", "dim"), text) for name, text in line]
                console.print(Text(BETWEEN).join(parts), overflow="fold")
        if facts and columns:
            console.print()
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0), header_style="bold")
        for one in columns:
            table.add_column(
                Text(one.name), justify="right" if one.is_number else "left", width=one.width, overflow="fold"
            )
        for row in zip(*map(_style_cells, columns), strict=True):
            table.add_row(*row)
        if columns:
            console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _fill_lines(facts: Sequence[tuple[str, str]], width: int) -> list[list[tuple[str, str]]]:
    """As many ``facts`` to a line as it has room for; one that is longer has lines of its own."""
    lines: list[list[tuple[str, str]]] = []
    used = width
    for name, text in facts:
        wanted = cell_len(f"{BETWEEN}{name}: {text}")
        if used + wanted > width:
            lines.append([])
            used = -len(BETWEEN)
        lines[-1].append((name, text))
        used += wanted
    return lines


def _style_cells(one: Shown) -> Iterator[Text]:
    for text in one.cells(one.width):
        yield Text(text, one.look.styles.get(text, ""))
