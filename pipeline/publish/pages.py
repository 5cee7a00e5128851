"""The pages of a site as HTML, each made of its own data alone: what is gone can be shown again from its JSON.

Nothing on a page says when it was made: ages are computed in the browser from the dates in the data. All that comes
from the data is escaped by Jinja; the policy lets a page load the site's style and script, and nothing else. Links
name ``index.html``, since not every host looks for it in a folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from pipeline import __version__
from pipeline.publish.grid import MINUS
from pipeline.publish.shown import draw_line, show_package, show_stack
from pipeline.report.folder import folder_of
from pipeline.report.landing import GENERATOR
from pipeline.report.page import read_asset, show_size

ASSETS = Path(__file__).parent / "assets"
STATIC = ("site.css", "site.js")
"""Files of the site's top that every page loads."""
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'"
)
SPACK_PACKAGES = "https://packages.spack.io/package.html?name="
"""The page of a package's recipe; the one address outside that pages link to."""


SHOWN = {"package": show_package, "stack": show_stack}
"""What pages show beside their data, by kind."""


def address_of(path: str) -> str:
    """A path of the site as an address relative to the site's top."""
    return quote(path)


def render_page(data: Mapping[str, Any], base_url: str | None = None) -> bytes:
    """The page of its data, by their ``kind``: front, package, stack, snapshot, packages, stacks or latest."""
    kind = data["kind"]
    depth = {"front": 0, "package": 2, "stack": 2, "snapshot": 2}.get(kind, 1)
    root = "../" * depth
    path = {
        "front": "",
        "packages": "package/",
        "stacks": "stack/",
        "latest": "latest/",
    }.get(kind) or (f"{address_of(folder_of(kind, data[kind]))}/" if depth == 2 else "")

    def page_url(kind: str, name: str) -> str:
        return f"{root}{address_of(folder_of(kind, name))}/index.html"

    html = (
        _environment()
        .get_template(f"{kind}.html")
        .render(
            data=data,
            shown=SHOWN[kind](data) if kind in SHOWN else {},
            root=root,
            canonical=f"{base_url.rstrip('/')}/{path}" if base_url else None,
            page_url=page_url,
        )
    )
    return html.encode()


def read_static(name: str) -> bytes:
    """A file that every page loads."""
    before = read_asset("ages.js").encode() if name == "site.js" else b""
    return before + (ASSETS / name).read_bytes()


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        generator=GENERATOR, version=__version__, policy=POLICY, recipes=SPACK_PACKAGES, draw_line=draw_line
    )
    environment.filters.update(
        number=_show_number,
        signed=_show_signed,
        percent=_show_percent,
        count=_count,
        size=show_size,
        short=_shorten,
        encode=lambda text: quote(text, safe=""),
    )
    return environment


def _show_number(value: int) -> str:
    return f"{value:,}"


def _show_signed(value: int) -> str:
    """A change with its sign; the minus is the typographic one, which is as wide as the plus."""
    return f"+{value:,}" if value > 0 else f"{MINUS}{-value:,}" if value else "0"


def _show_percent(share: float) -> str:
    """A share, rounded towards the middle: 100 % and 0 % are said of all and nothing only."""
    if 0.999 <= share < 1:
        return "99.9 %"
    return f"{share * 100:.0f} %" if share in (0, 1) else f"{share * 100:.1f} %"


def _count(value: int, noun: str) -> str:
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def _shorten(snapshot: str) -> str:
    """A snapshot where there is little room: a weekly one by its date."""
    return snapshot.removeprefix("develop-") if snapshot.startswith("develop-2") else snapshot
