"""Digest all that builds of some sources write, to show whether a change of the code changed an answer.

``python -m bench.digests [NAME=FOLDER ...] > digests.txt`` builds each folder, the sample pages and a small
generated corpus through the command line, and prints a line for each Parquet file, for the rows of each
table, view and macro, and for each file of the reports in every format. Two outputs are compared with
``diff``. The line of a Parquet file has two digests: of its bytes, and of its schema and rows, in their order.
"""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from pipeline.demo import corpus

SAMPLES = Path(__file__).parent.parent / "tests" / "data" / "pages"
FORMATS = "csv,parquet,json,xlsx,markdown,html"
SMALL = {"snapshots": 3, "packages": 150, "specs": 12, "seed": 7}


def run(*arguments: str | Path) -> None:
    """Run a command of the project; exit status 3 (done, and something fails) counts as done."""
    done = subprocess.run([sys.executable, "-m", "pipeline", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{arguments}: exit status {done.returncode}: {done.stderr}")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def digest_parquet(warehouse: Path) -> Iterator[str]:
    """A line for each Parquet file of a warehouse: its bytes, and its schema and rows."""
    for path in sorted(Path(warehouse).glob("[!.r]*/**/*.parquet")) + sorted(warehouse.glob("rejects/*.parquet")):
        table = pq.ParquetFile(path).read()
        rows = digest(f"{table.schema.to_string(show_field_metadata=True)}{table.to_pylist()}".encode())
        yield f"{path.relative_to(warehouse)} bytes {digest(path.read_bytes())} rows {rows}"


def digest_relations(warehouse: Path) -> Iterator[str]:
    """A line for each table, view and macro of a warehouse: its columns with comments, and its rows sorted."""
    with duckdb.connect(str((warehouse / "warehouse.duckdb").resolve()), read_only=True) as connection:
        connection.execute("set memory_limit = '8GB'")
        names = connection.execute(
            "select table_name, comment from duckdb_tables() where not internal union all "
            "select view_name, comment from duckdb_views() where not internal order by 1"
        ).fetchall()
        for name, comment in names:
            columns = connection.execute(
                "select column_name, data_type, comment from duckdb_columns() "
                "where table_name = ? order by column_index",
                [name],
            ).fetchall()
            yield f"{name} rows {digest_rows(connection, name)} columns {digest(repr((comment, columns)).encode())}"
        snapshots = [row[0] for row in connection.execute("select snapshot from snapshots order by 1").fetchall()]
        for before, after in itertools.pairwise(snapshots):
            for macro in ("hash_diff", "configuration_diff", "lost"):
                call = f"{macro}('{before}', '{after}')"
                yield f"{call} rows {digest_rows(connection, call)}"
        for call in ("usable_on('zen4')", "usable_on('neoverse_v2', family := 'gcc')"):
            yield f"{call} rows {digest_rows(connection, call)}"


def digest_rows(connection: duckdb.DuckDBPyConnection, relation: str) -> str:
    """The number of a relation's rows and their digest, in whatever order they come."""
    rows = sorted(repr(row) for row in connection.execute(f"select * from {relation}").fetchall())
    return f"{len(rows)} {digest(chr(10).join(rows).encode())}"


def digest_reports(warehouse: Path) -> Iterator[str]:
    for path in sorted((warehouse / "reports").rglob("*")):
        if path.is_file():
            yield f"{path.relative_to(warehouse)} {digest(path.read_bytes())}"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="spack-warehouse-digests-") as name:
        folder = Path(name)
        corpus.generate(folder / "small", **SMALL)
        sources = {"samples": SAMPLES, "generated": folder / "small"}
        for argument in sys.argv[1:]:
            label, _, path = argument.partition("=")
            sources[label] = Path(path)
        for label, source in sources.items():
            warehouse = folder / label
            run("build", source, "--warehouse", warehouse)
            run("report", "--warehouse", warehouse, "--format", FORMATS)
            for line in (*digest_parquet(warehouse), *digest_relations(warehouse), *digest_reports(warehouse)):
                print(f"{label}: {line}", flush=True)


if __name__ == "__main__":
    main()
