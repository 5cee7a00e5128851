"""One self-contained HTML page of a snapshot: figures, changes, matrices, search, hosts, gaps, trends.

The page holds its data, libraries and licences itself and may fetch nothing: a Content-Security-Policy
refuses every request, and every script and style but those written here, which it names by hash. The data
are tables, column by column, as JSON, deflated, in base64; see :func:`encode_column`. All that comes from
the data reaches the page by Jinja's escaping or as text nodes; ``tests/test_html_browser.py`` looks on.

The same warehouse gives the same bytes: nothing in the page tells when or where it was made.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import duckdb
import jinja2
import msgspec
from markupsafe import Markup

from pipeline import __version__
from pipeline.ask.diff import (
    CAUSES,
    REBUILT,
    Question,
    list_change_columns,
    list_changes,
    list_turnover,
    summarise_changes,
)
from pipeline.ask.scope import PREVIOUS, find_snapshot, list_not_loaded, list_snapshots
from pipeline.schema import MATRIX_COLUMNS

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = (
    "vendor/tabulator.min.js",
    "vendor/uPlot.iife.min.js",
    "versions.js",
    "data.js",
    "parts.js",
    "views.js",
    "app.js",
)
"""In the order in which they run; the page runs ``theme.js`` before it paints."""
STYLES = ("vendor/tabulator.min.css", "vendor/uPlot.min.css", "shared.css", "style.css")
MOST_PROBLEMS = 500
"""So many rejects, and so many mismatches, are listed in a page; the rest is in the files beside it."""

WHOLLY_LOST = ("stack removed", "package gone from the stack")
"""The causes of a loss after which a stack holds nothing of a package."""

MIRROR = "https://binaries.spack.io"
"""Where Spack's own build caches are, a folder per snapshot (https://cache.spack.io says how to use them)."""

Cell = str | int | float | bool | None | Sequence[str]
Encoded = dict[str, Any]


class File(Protocol):
    """A file beside the page, as ``index.json`` names it."""

    @property
    def report(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def rows(self) -> int | None: ...
    @property
    def bytes(self) -> int: ...


class RenderedPage(NamedTuple):
    """A page, and how many rows of which columns its largest table, the specs, has."""

    html: bytes
    rows: int
    columns: list[str]


def encode_column(values: Sequence[Cell], order: Mapping[str, str] | None = None) -> Encoded:
    """A column as JSON that deflates well and decodes fast.

    ========== ==================== ============================================================
    ``c``      the one value        every row has it
    ``w``,``t`` width, joined texts  texts of one width, no two the same, such as hashes
    ``d``,``i`` texts, positions     each text once, and a row's position among them, -1 for NULL
    ``d``,``l``,``i``                 the same for lists of texts: ``l`` has each list once
    ``v``      values               numbers and truth values
    ========== ==================== ============================================================

    Texts stand in text order, or in that of their keys in ``order``.
    """
    if values and all(value == values[0] and type(value) is type(values[0]) for value in values):
        return {"c": values[0]}
    if all(value is None or isinstance(value, int | float) for value in values):
        return {"v": list(values)}
    if order is None and _are_codes(values):
        return {"w": len(str(values[0])), "t": "".join(map(str, values))}
    lists = [None if value is None else tuple(_as_texts(value)) for value in values]
    texts = sorted({text for one in lists if one is not None for text in one}, key=lambda text: _rank(text, order))
    position = {text: index for index, text in enumerate(texts)}
    if not any(isinstance(value, list | tuple) for value in values):
        return {"d": texts, "i": [-1 if one is None else position[one[0]] for one in lists]}
    distinct = sorted({one for one in lists if one is not None})
    place = {one: index for index, one in enumerate(distinct)}
    return {
        "d": texts,
        "l": [[position[text] for text in one] for one in distinct],
        "i": [-1 if one is None else place[one] for one in lists],
    }


def _are_codes(values: Sequence[Cell]) -> bool:
    """Whether the values are ASCII texts of one width, no two the same."""
    texts = [value for value in values if isinstance(value, str) and value.isascii()]
    return len(texts) == len(values) == len(set(texts)) and len({len(text) for text in texts}) == 1


def _as_texts(value: Cell) -> Iterable[str]:
    return (value,) if isinstance(value, str) else value  # type: ignore[return-value]


def _rank(text: str, order: Mapping[str, str] | None) -> tuple[str, str]:
    return (order.get(text, "") if order else "", text)


def encode_table(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]], orders: Mapping[str, Mapping[str, str]] | None = None
) -> Encoded:
    """A table as columns; ``orders`` has, by column, the keys by which its texts are sorted."""
    turned = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return {
        "rows": len(rows),
        "columns": {
            name: encode_column(list(values), (orders or {}).get(name))
            for name, values in zip(columns, turned, strict=True)
        },
    }


def pack(payload: Mapping[str, Any]) -> str:
    """A payload as the page holds it: JSON, deflated, in base64, which no HTML parser takes for a tag."""
    return base64.b64encode(zlib.compress(msgspec.json.encode(payload), 9)).decode()


def render_page(connection: duckdb.DuckDBPyConnection, snapshot: str, files: Sequence[File] = ()) -> RenderedPage:
    """The page of a snapshot; ``files`` are those beside it, to which it links."""
    payload = collect(connection, snapshot)
    specs = payload["tables"]["specs"]
    scripts, styles = [read_asset(name) for name in SCRIPTS], [read_asset(name) for name in STYLES]
    theme = read_asset("theme.js")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    html = environment.get_template("template.html").render(
        facts=payload["facts"],
        previous=payload["previous"],
        totals=payload["totals"],
        files=arrange_files(files),
        licences=list_licences(),
        policy=Markup(make_policy([*scripts, theme], styles)),
        theme=Markup(theme),
        styles=[Markup(style) for style in styles],
        scripts=[Markup(script) for script in scripts],
        data=Markup(pack(payload)),
    )
    return RenderedPage(html.encode(), specs["rows"], list(specs["columns"]))


def make_policy(scripts: Iterable[str], styles: Iterable[str]) -> str:
    """The Content-Security-Policy under which only these scripts and styles count and nothing is fetched.

    The last two directives make the browser refuse text as HTML wherever a library would write some: see
    ``theme.js``, whose policy turns it into harmless text.
    """

    def name(texts: Iterable[str]) -> str:
        return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}'" for t in texts)

    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {name(scripts)}",
            f"style-src {name(styles)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types default",
        ]
    )


@cache
def read_asset(name: str) -> str:
    """A script or style as it stands in the page; a source map, which only debuggers fetch, is not named."""
    text = (ASSETS / name).read_text(encoding="utf-8")
    lines = [
        line for line in text.splitlines() if not line.startswith(("//# sourceMappingURL", "/*# sourceMappingURL"))
    ]
    return "\n".join(lines) + "\n"


def list_libraries() -> list[dict[str, Any]]:
    """The libraries in the page: name, version, licence and files with their SHA-512."""
    libraries: list[dict[str, Any]] = msgspec.json.decode((ASSETS / "vendor" / "vendor.json").read_bytes())
    return libraries


def list_licences() -> list[dict[str, str]]:
    return [
        {
            "name": f"{library['name']} {library['version']} ({library['licence']})",
            "text": (ASSETS / "vendor" / library["licence_file"]).read_text(encoding="utf-8"),
        }
        for library in list_libraries()
    ]


def arrange_files(files: Sequence[File]) -> list[dict[str, Any]]:
    """Files by report, each with its formats, in the order given."""
    reports: dict[str, list[File]] = {}
    for file in files:
        reports.setdefault(file.report, []).append(file)
    return [
        {
            "report": report.replace("_", " "),
            "rows": many[0].rows,
            "formats": [{"path": file.path, "format": file.format, "size": show_size(file.bytes)} for file in many],
        }
        for report, many in reports.items()
    ]


def show_size(size: int) -> str:
    """A size in bytes for people, in powers of 1000."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:.0f} kB" if size < 999_500 else f"{size / 1_000_000:.1f} MB"


def collect(connection: duckdb.DuckDBPyConnection, snapshot: str) -> dict[str, Any]:
    """All that the page of a snapshot tells, from the warehouse's views and macros."""
    snapshots = list_snapshots(connection)
    this = next(one for one in snapshots if one.name == snapshot)
    skipped: list[str] = []
    previous = find_snapshot(PREVIOUS, this, snapshots, skipped.append)
    tables = {
        "specs": read_specs(connection, snapshot),
        "gaps": read_table(
            connection,
            "select package, stack, platform, held_by, stacks from gaps where snapshot = $1 "
            "order by held_by desc, package, stack, platform",
            [snapshot],
        ),
        "trend": read_table(
            connection,
            "select series, position, cast(date as varchar) as date, snapshot, axis, value, packages, packages_total, "
            "specs from coverage_trend order by series, axis, value, position",
        ),
        "calendar": read_table(
            connection,
            "select calendar.series, calendar.position, cast(calendar.date as varchar) as date, calendar.snapshot, "
            "snapshots.packages, snapshots.specs from calendar left join snapshots "
            "on calendar.snapshot = snapshots.snapshot order by calendar.series, calendar.position",
        ),
        "targets": read_table(
            connection, "select target, ancestor, distance, vendor from targets order by target, distance, ancestor"
        ),
        "hosts": read_table(connection, "select target, platform, machines from hosts order by rowid"),
        "rejects": read_table(
            connection,
            f"select path, place, reason from rejects where snapshot = $1 or snapshot is null "
            f"order by path, place, reason limit {MOST_PROBLEMS}",
            [snapshot],
        ),
        "mismatches": read_table(
            connection,
            f"select package, field, said, found from meta_mismatches where snapshot = $1 "
            f"order by package, field, said, found limit {MOST_PROBLEMS}",
            [snapshot],
        ),
    }
    payload: dict[str, Any] = {
        "facts": {**read_facts(connection, snapshot), "skipped": skipped},
        "previous": None,
        "totals": [],
        "causes": CAUSES,
        "rebuilt": REBUILT,
        "matrix_columns": MATRIX_COLUMNS,
        "tables": tables,
    }
    if previous is not None:
        payload["previous"] = previous.name
        payload["totals"] = add_changes(connection, tables, Question(previous.name, snapshot))
    return payload


def add_changes(
    connection: duckdb.DuckDBPyConnection, tables: dict[str, Any], asked: Question
) -> list[dict[str, object]]:
    """Add what changed to ``tables``; returns hashes and configurations lost, gained and kept, counted."""
    columns = [name for name, _ in list_change_columns(connection, "lost")]
    lost: list[Any] = list_changes(connection, asked, "lost")
    tables["lost"] = encode_table(columns, lost)
    tables["gained"] = read_table(
        connection,
        "select package, version, compiler_family, target, os, variants, stacks, specs "
        "from configuration_diff($1, $2) where change = 'gained' "
        "order by package, version, compiler_family, target, os, variants, stacks, platform, namespace",
        [asked.before, asked.after],
    )
    # A package that a stack lost is one that it holds no spec of; gained is what is lost the other way.
    back: list[Any] = list_changes(connection, Question(asked.after, asked.before), "lost")
    gone, since = (
        sorted({(row[stack], row[package]) for row in rows if row[cause] in WHOLLY_LOST})
        for package, stack, cause in [map(columns.index, ("package", "stack", "cause"))]
        for rows in (lost, back)
    )
    tables["presence"] = encode_table(
        ("change", "stack", "package"), [*(("lost", *one) for one in gone), *(("gained", *one) for one in since)]
    )
    tables["turnover"] = encode_table(("change", "package", "proven"), list_turnover(connection, asked))
    return [
        {"what": what, "change": change, "packages": packages, "count": count}
        for what, change, _, _, packages, count in summarise_changes(connection, asked).totals
    ]


def read_table(connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[str] = ()) -> Encoded:
    """The encoded answer of a query."""
    answer = connection.execute(query, list(parameters))
    names = [column[0] for column in answer.description or ()]
    return encode_table(names, answer.fetchall())


def read_specs(connection: duckdb.DuckDBPyConnection, snapshot: str) -> Encoded:
    """The snapshot's specs, the newest version of each package first; versions in Spack's order."""
    names = "package version compiler compiler_family os platform target variants stacks in_root size_bytes hash"
    columns = names.split()
    rows = connection.execute(
        f"select {', '.join(columns)}, version_key from specs where snapshot = $1 "
        "order by package, version_key desc, version, compiler, platform, target, os, hash",
        [snapshot],
    ).fetchall()
    keys = {row[1]: row[-1] for row in rows}
    return encode_table(columns, [row[:-1] for row in rows], {"version": keys})


def read_facts(connection: duckdb.DuckDBPyConnection, snapshot: str) -> dict[str, Any]:
    """The head figures."""
    answer = connection.execute(
        """
        select
            kind, cast(date as varchar) as date, packages, specs,
            (select count(*) from summary_by_stack where snapshot = $1) as stacks,
            (select count(*) from summary_by_compiler where snapshot = $1 and compiler <> 'none') as compilers,
            (select count(*) from summary_by_target where snapshot = $1) as targets,
            (select count(*) from root_only_specs where snapshot = $1) as root_only,
            (select count(*) from rejects where snapshot = $1 or snapshot is null) as rejects,
            (select count(*) from meta_mismatches where snapshot = $1) as mismatches
        from snapshots where snapshot = $1
        """,
        [snapshot],
    )
    names = [column[0] for column in answer.description or ()]
    row = answer.fetchone()
    assert row is not None
    facts: dict[str, Any] = {"snapshot": snapshot, "generator": f"spack-warehouse {__version__}"}
    facts.update(zip(names, row, strict=True))
    facts["not_loaded"] = [one.describe() for one in list_not_loaded(connection, snapshot)]
    facts["mirror"] = None if facts["kind"] == "other" else f"{MIRROR}/{snapshot}"
    return facts
