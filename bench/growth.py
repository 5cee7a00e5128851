"""Measure how a build grows with its corpus and its processes, and write the table in ``docs/scale.md``.

``python -m bench.growth`` builds the corpus of ``make bench`` 1, 3 and 10 times as large, by one process and by two,
each anew and once more where nothing has changed.
"""

from __future__ import annotations

import argparse
import re
import resource
import sys
import tempfile
from pathlib import Path

from bench.__main__ import make_corpus, measure_command

DOCUMENT = Path(__file__).parent.parent / "docs/scale.md"
TABLE = re.compile(r"(?<=<!-- growth -->\n).*?(?=<!-- end of growth -->)", re.DOTALL)
HEAD = """
| corpus | processes | seconds | of processors | again, unchanged | memory | Parquet | DuckDB file | files |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


def measure_build(source: Path, warehouse: Path, jobs: int) -> tuple[float, float, float]:
    """Seconds and seconds of processors that a build takes, and the peak MiB of all its processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    build = [sys.executable, "-m", "pipeline", "build", str(source), "--warehouse", str(warehouse), "--jobs", str(jobs)]
    seconds, peak = measure_command(build)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peak


def count_files(warehouse: Path) -> tuple[int, int, int]:
    """Bytes of the Parquet files of a warehouse that was built once, of its DuckDB file, and all files."""
    files = [one for one in warehouse.rglob("*") if one.is_file() and not one.is_symlink()]
    sizes = {
        suffix: sum(one.stat().st_size for one in files if one.suffix == suffix) for suffix in (".parquet", ".duckdb")
    }
    return sizes[".parquet"], sizes[".duckdb"], len(files)


def measure_growth(folder: Path, snapshots: int, times: int) -> str:
    """The rows of a corpus."""
    source = folder / "source"
    said = make_corpus(source, snapshots * times)
    rows = []
    for jobs in (1, 2):
        warehouse = folder / f"warehouse{jobs}"
        seconds, processors, peak = measure_build(source, warehouse, jobs)
        parquet, database, files = count_files(warehouse)
        again, _, _ = measure_build(source, warehouse, jobs)
        rows.append(
            f"| {said if jobs == 1 else ''} | {jobs} | {seconds:.0f} | {processors:.0f} | {again:.1f} "
            f"| {peak:.0f} MiB | {parquet / 1e6:,.0f} MB | {database / 1e6:,.0f} MB | {files:,} |\n"
        )
        print(rows[-1], end="", file=sys.stderr, flush=True)
    return "".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--snapshots", type=int, default=18, help="snapshots of the smallest corpus")
    args = parser.parse_args()
    table = HEAD
    for times in (1, 3, 10):
        with tempfile.TemporaryDirectory(prefix="spack-warehouse-growth-") as name:
            table += measure_growth(Path(name), args.snapshots, times)
    DOCUMENT.write_text(TABLE.sub(lambda _: f"{table}\n", DOCUMENT.read_text()))


if __name__ == "__main__":
    main()
