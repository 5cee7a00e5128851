"""One self-contained HTML page of a snapshot: figures, changes, matrices, search, hosts, gaps, trends.

The page holds its data, libraries and licences itself and may fetch nothing: a Content-Security-Policy
refuses every request but those for the pages of other snapshots beside it, which are read to compare with them, and
every script and style but those written here, which it names by hash. The data
are tables, column by column, as JSON, deflated, in base64; see
:func:`pipeline.report.columns.encode_column`. All that comes from the data reaches the page by Jinja's escaping or
as text nodes; ``tests/test_report_page_browser.py`` looks on.

The same warehouse gives the same bytes: nothing in the page says when or where it was made.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

import jinja2
import msgspec
from markupsafe import Markup

from pipeline.ask.diff import Comparison
from pipeline.report.folder import SITE, folder_of
from pipeline.report.installs import find_installs
from pipeline.report.pagedata import collect
from pipeline.report.shared import Shared

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = (
    "vendor/tabulator.min.js",
    "vendor/uPlot.iife.min.js",
    "versions.js",
    "ages.js",
    "data.js",
    "spec.js",
    "parts.js",
    "views/common.js",
    *(f"views/{name}.js" for name in ("overview", "matrix", "find", "host", "gaps", "trends", "compare")),
    "app.js",
)
"""In the order in which they run; the page runs ``theme.js`` before it paints."""
STYLES = ("vendor/tabulator.min.css", "vendor/uPlot.min.css", "shared.css", "style.css")
MOST_MISSING = 20
"""So many stacks with specs that do not install, and so many missing specs, are listed in a page."""

FIGURES = (
    ("packages", "packages", "with a spec in a stack or in root"),
    ("specs", "specs", "distinct hashes"),
    ("stacks", "stacks", "that hold a spec"),
    ("compilers", "compilers", "each version counted"),
    ("targets", "targets", "that specs are built for"),
    ("in root alone", "root_only", "specs that no stack has"),
    ("rejects", "rejects", "records that could not be read"),
    ("mismatches", "mismatches", "counts of pages that are wrong"),
)
"""The head figures: name, key of the facts, what is counted."""


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


def pack(payload: Mapping[str, Any]) -> str:
    """A payload as the page holds it: JSON, deflated, in base64, which no HTML parser takes for a tag."""
    return base64.b64encode(zlib.compress(msgspec.json.encode(payload), 9)).decode()


def render_page(
    compared: Comparison, shared: Shared, files: Sequence[File] = (), in_site: bool = False
) -> RenderedPage:
    """The page of a snapshot; ``files`` are those beside it, and where it is ``in_site`` the site's pages lie around
    it: it links to both.
    """
    payload = collect(compared, shared, in_site)
    specs = payload["tables"]["specs"]
    scripts, styles = [read_asset(name) for name in SCRIPTS], [read_asset(name) for name in STYLES]
    theme = read_asset("theme.js")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    html = environment.get_template("template.html").render(
        facts=payload["facts"],
        installs=find_installs(shared, compared.snapshot.name, MOST_MISSING),
        previous=payload["previous"],
        before=payload["before"],
        verdict=payload["verdict"],
        totals=payload["totals"],
        moved=payload["moved"],
        figures=FIGURES,
        in_site=in_site,
        site_page=quote(f"{folder_of('snapshot', compared.snapshot.name)}/{SITE}"),
        files=arrange_files(files),
        licences=list_licences(),
        policy=Markup(make_policy([*scripts, theme], styles, "connect-src 'self'")),
        theme=Markup(theme),
        styles=[Markup(style) for style in styles],
        scripts=[Markup(script) for script in scripts],
        data=Markup(pack(payload)),
    )
    return RenderedPage(html.encode(), specs["rows"], list(specs["columns"]))


def make_policy(scripts: Iterable[str], styles: Iterable[str], *more: str) -> str:
    """The Content-Security-Policy under which only these scripts and styles count and nothing is fetched, but for
    what ``more`` directives allow.

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
            *more,
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
    """A size in bytes for people, in powers of 1000, that no line's end parts."""
    if size < 1000:
        return f"{size}\N{NO-BREAK SPACE}B"
    return f"{size / 1000:.0f}\N{NO-BREAK SPACE}kB" if size < 999_500 else f"{size / 1_000_000:.1f}\N{NO-BREAK SPACE}MB"
