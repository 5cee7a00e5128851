"""The landing page of a folder of reports: a list of its snapshots, the newest first, with links to every file.

With it the folder is a site that any static host can show. The page holds its own style, has no script and
fetches nothing; it is made from the folders' ``index.json`` alone, and the same folders give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from pipeline.io.disk import is_remains, renew_file
from pipeline.report.folder import FILES_PAGE, SITE, ReportFolder
from pipeline.report.page import ASSETS, make_policy, read_asset, show_size
from pipeline.spack.versions import version_key

GENERATOR = "spack-warehouse"
"""What the page says that it was made by: an ``index.html`` that does not say so is somebody else's."""
MARK = f'<meta name="generator" content="{GENERATOR}">'

_KINDS = ("other", "release", "weekly", "develop")
"""The later, the newer."""
_WHOLE = ("html", "markdown", "xlsx")
"""Formats with one file for a snapshot, in the order of the columns."""


def write_site(out: Path, indexes: Sequence[Mapping[str, Any]]) -> None:
    """Write the landing page of the reports below ``out``; one that would not change is left alone.

    ``indexes`` are the snapshots of ``index.json`` beside it: their paths begin with their ``folder``.
    In the folder of a whole site it gives way to the front page, and is :data:`FILES_PAGE`. A file of its name that
    was not written here is left as it is.
    """
    within = ReportFolder(out).is_site
    path, page = out / (FILES_PAGE if within else SITE), render_site(indexes, within)
    if not path.exists() or is_remains(path, page.partition(MARK.encode())[0]) or MARK.encode() in path.read_bytes():
        renew_file(path, page)


def render_site(indexes: Sequence[Mapping[str, Any]], within: bool = False) -> bytes:
    """The landing page, ``within`` a whole site or alone. What an older ``index.json`` does not say is left empty."""
    style = read_asset("shared.css") + read_asset("site.css")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    ordered = sorted(indexes, key=_age, reverse=True)
    html = environment.get_template("site.html").render(
        snapshots=[_describe(index) for index in ordered],
        within=within,
        generator=GENERATOR,
        policy=Markup(make_policy([], [style])),
        style=Markup(style),
    )
    return html.encode()


def _age(index: Mapping[str, Any]) -> tuple[int, str, str, str]:
    """Sorts snapshots, the oldest first, as :func:`pipeline.ask.scope.list_snapshots` does the other way."""
    name, kind = index["snapshot"], index.get("kind")
    rank = _KINDS.index(kind) if kind in _KINDS else 0
    version = version_key(name.removeprefix("v")) if kind == "release" else ""
    return rank, index.get("date") or "", version, name


def _describe(index: Mapping[str, Any]) -> dict[str, Any]:
    """A snapshot as the template shows it."""
    files = [
        {
            "report": one["report"],
            "format": one["format"],
            "rows": one.get("rows"),
            "bytes": one["bytes"],
            "size": show_size(one["bytes"]),
            "href": quote(one["path"]),
        }
        for one in index["reports"]
    ]
    tables = [file for file in files if file["format"] not in _WHOLE]
    formats = list(dict.fromkeys(file["format"] for file in tables))
    reports: dict[str, dict[str, Any]] = {}
    for file in tables:
        reports.setdefault(file["report"], {})[file["format"]] = file
    kind = index.get("kind")
    return {
        "name": index["snapshot"],
        "date": index.get("date") or ("daily" if kind == "develop" else kind or ""),
        "packages": index.get("packages"),
        "specs": index.get("specs"),
        "whole": {format: next((file for file in files if file["format"] == format), None) for format in _WHOLE},
        "formats": formats,
        "tables": [
            {
                "report": report.replace("_", " "),
                "rows": next(iter(held.values()))["rows"],
                "files": [held.get(format) for format in formats],
            }
            for report, held in reports.items()
        ],
        "complete": len(tables) == len(reports) * len(formats),
        "size": show_size(sum(file["bytes"] for file in tables)),
        "index": quote(f"{index['folder']}/index.json"),
    }
