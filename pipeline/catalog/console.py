"""``sql/``: a page to ask in SQL in the browser, with DuckDB-Wasm served from the site itself.

The engine is no part of the project: it comes from npm, pinned with its integrity by ``requirements/duckdb-wasm``, and
is copied from the folder that is named. The page loads it on a click, and then a database of one snapshot or of two
neighbours; nothing is asked of any other host.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import msgspec

from pipeline.catalog.databases import list_sets, write_databases
from pipeline.catalog.folder import Publication
from pipeline.catalog.listing import ASSETS, load_templates
from pipeline.catalog.tables import PartInputs
from pipeline.errors import WarehouseError
from pipeline.io.progress import Progress
from pipeline.report.folder import QUERY
from pipeline.report.landing import GENERATOR
from pipeline.report.page import read_asset

ENGINE = (
    "@duckdb/duckdb-wasm/dist/duckdb-browser.cjs",
    "@duckdb/duckdb-wasm/dist/duckdb-browser-eh.worker.js",
    "@duckdb/duckdb-wasm/dist/duckdb-eh.wasm",
    "apache-arrow/Arrow.es2015.min.js",
    "apache-arrow/LICENSE.txt",
)
"""What the page loads of the packages that npm installs."""
PACKAGE = "@duckdb/duckdb-wasm/package.json"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; "
    "style-src 'self'; img-src data:; form-action 'none'; base-uri 'none'"
)
"""That of this page alone: WebAssembly, its worker, and what both fetch from the site."""
QUESTIONS = (
    (
        "How much each stack covers",
        False,
        "from summary_by_stack where snapshot = '{snapshot}' order by coverage desc, stack",
    ),
    (
        "Which packages have which compiler",
        False,
        "from matrix_by_compiler where snapshot = '{snapshot}' order by package",
    ),
    (
        "What a zen4 machine can use",
        False,
        "select package, count(*) as specs from usable_on('zen4')\n"
        "where snapshot = '{snapshot}' group by package order by package",
    ),
    (
        "Packages that are built for few targets",
        False,
        "select package, count(*) as targets from coverage_by_target\n"
        "where snapshot = '{snapshot}' group by package order by targets, package limit 40",
    ),
    (
        "What could not be loaded",
        False,
        "select path, place, reason from rejects where snapshot = '{snapshot}' order by path, place",
    ),
    (
        "What was lost since the snapshot before, and why",
        True,
        "from lost('{before}', '{snapshot}') order by stack, package",
    ),
    (
        "What changed, by cause",
        True,
        "select stack, change, cause, sum(specs) as specs from changes\n"
        "where to_snapshot = '{snapshot}' group by stack, change, cause order by stack, change, cause",
    ),
)
"""Examples: what is asked, whether of two snapshots, and the SQL."""


def find_engine(wasm: Path) -> dict[str, Path]:
    """The files of the engine below a folder that npm installed to, by their names.

    Raises:
        WarehouseError: one of them is not there.
    """
    folder = wasm / "node_modules" if (wasm / "node_modules").is_dir() else wasm
    for name in (*ENGINE, PACKAGE):
        if not (folder / name).is_file():
            raise WarehouseError(f"{folder / name}: is not there; install DuckDB-Wasm with: npm ci, or make site")
    return {name.rsplit("/", 1)[-1]: folder / name for name in ENGINE}


def find_version(wasm: Path) -> str:
    """The version of DuckDB-Wasm.

    Raises:
        WarehouseError: its package does not say.
    """
    path = find_engine(wasm)["duckdb-browser.cjs"].parents[1] / "package.json"
    try:
        return str(msgspec.json.decode(path.read_bytes(), type=dict[str, object])["version"])
    except (msgspec.DecodeError, KeyError) as error:
        raise WarehouseError(f"{path}: does not say which version it is of: {error}") from None


def digest_engine(wasm: Path | None) -> str | None:
    """What distinguishes one engine from another: its version, and the sizes of its files."""
    if wasm is None:
        return None
    sizes = {name: path.stat().st_size for name, path in find_engine(wasm).items()}
    return f"{find_version(wasm)} {sorted(sizes.items())}"


def write_console(
    connection: duckdb.DuckDBPyConnection,
    wasm: Path,
    snapshots: Sequence[str],
    history: int | None,
    inputs: PartInputs,
    publication: Publication,
    progress: Progress,
) -> None:
    """Publish the page, its engine and its databases.

    Raises:
        WarehouseError: the engine is not whole.
    """
    engine = f"engine-{find_version(wasm)}"
    for name, path in find_engine(wasm).items():
        publication.add_file(f"{QUERY}/{engine}/{name}", path)
    databases = [
        {
            "snapshots": list(held),
            "path": path.removeprefix(f"{QUERY}/"),
            "bytes": publication.files[path].bytes,
            "questions": list(fill_questions(held)),
        }
        for held, path in write_databases(
            connection, list_sets(connection, snapshots, history), inputs, publication, progress
        )
    ]
    listed = msgspec.json.format(msgspec.json.encode({"engine": engine, "databases": databases}), indent=1)
    publication.add(f"{QUERY}/databases.json", listed + b"\n")
    publication.add(f"{QUERY}/sql.js", (ASSETS / "sql.js").read_bytes())
    style = read_asset("shared.css") + (ASSETS / "sql.css").read_text(encoding="utf-8")
    publication.add(f"{QUERY}/sql.css", style.encode())
    page = load_templates().get_template("sql.html").render(policy=POLICY, generator=GENERATOR)
    publication.add(f"{QUERY}/index.html", page.encode())


def fill_questions(held: Sequence[str]) -> Iterator[dict[str, str]]:
    """The examples that a database answers, with its snapshots' names."""
    names = {"snapshot": held[-1], "before": held[0]}
    quoted = {key: name.replace("'", "''") for key, name in names.items()}
    for title, of_two, sql in QUESTIONS:
        if not of_two or len(held) == 2:
            yield {"title": title, "sql": sql.format(**quoted)}
