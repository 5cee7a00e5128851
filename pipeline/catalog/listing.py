"""``data/index.html``: what is published, file by file, with lines to copy for those who read it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from pipeline.catalog.describe import Origin
from pipeline.catalog.folder import PublishedFile
from pipeline.catalog.promise import Promise, keep_promise
from pipeline.catalog.tables import TableFiles, address_of
from pipeline.report.folder import CATALOG, DATA
from pipeline.report.landing import GENERATOR
from pipeline.report.page import make_policy, read_asset, show_size

ASSETS = Path(__file__).parent / "assets"
WAREHOUSE = f"{DATA}/warehouse.duckdb"


@cache
def load_templates() -> jinja2.Environment:
    """Those of the pages of what is published."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(size=show_size, number=lambda value: f"{value:,}")
    return environment


def render_listing(
    promise: Promise,
    files: TableFiles,
    published: Mapping[str, PublishedFile],
    origin: Origin,
    console: bool,
    has_front: bool,
) -> bytes:
    """The page; ``console`` says whether the page to ask in SQL is there, ``has_front`` whether a front page is."""
    style = read_asset("shared.css") + (ASSETS / "data.css").read_text(encoding="utf-8")
    tables = []
    for name, parts in files.items():
        table = keep_promise(promise, name)
        tables.append(
            {
                "name": name,
                "description": table.description,
                "columns": table.columns,
                "rows": sum(part.rows for part in parts),
                "files": [_describe_file(part.path, part.rows, part.snapshot, published) for part in parts],
            }
        )
    html = (
        load_templates()
        .get_template("data.html")
        .render(
            tables=tables,
            lines=list_lines(files, published, origin.base_url),
            version=promise.version,
            licence=origin.describe_licence(),
            read_on=origin.read_on,
            sources=origin.sources,
            warehouse=_describe_file(WAREHOUSE, 0, None, published),
            console=console,
            has_front=has_front,
            generator=GENERATOR,
            policy=Markup(make_policy([], [style])),
            style=Markup(style),
        )
    )
    return html.encode()


def _describe_file(
    path: str, rows: int, snapshot: str | None, published: Mapping[str, PublishedFile]
) -> dict[str, Any]:
    one = published[path]
    href = quote(path.removeprefix(f"{DATA}/"), safe="/=+")
    return {"href": href, "rows": rows, "snapshot": snapshot, "bytes": one.bytes, "sha256": one.sha256}


def list_lines(
    files: TableFiles, published: Mapping[str, PublishedFile], base_url: str | None
) -> list[tuple[str, str]]:
    """Lines to copy, by who reads them; without an address they are for a folder of this machine."""

    def place(path: str) -> str:
        return address_of(base_url, path) if base_url else path

    example = place(files["specs"][-1].path)
    lines = []
    if CATALOG in published:
        lines.append(
            (
                "DuckDB, all tables, views and macros by https",
                f"attach '{place(CATALOG)}' as spack (read_only);\nuse spack;\n"
                "from summary_by_stack order by snapshot, coverage desc;",
            )
        )
    fetch = f'download.file("{example}", "specs.parquet", mode = "wb")\n' if base_url else ""
    local = "specs.parquet" if base_url else example
    lines += [
        ("DuckDB, one file", f"from '{example}' limit 10;"),
        ("Polars", f'import polars as pl\npl.read_parquet("{example}", hive_partitioning=False)'),
        ("pandas", f'import pandas as pd\npd.read_parquet("{example}")'),
        ("R", f'library(nanoparquet)\n{fetch}read_parquet("{local}")'),
    ]
    return lines
