"""Measure the project and other ways of reading the same pages, in turns, in one run.

``make bench`` (``python -m bench [--scale S]``) makes a corpus, runs every contender ``--runs``
times in rounds (so that a drift of the machine's speed meets all of them), each in a process of its
own, and writes medians, ratios and peak memory to ``bench/RESULTS.md``. Peak memory is that of
the largest process, and for the project also the sum over its processes.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.contenders import CONTENDERS, PUBLISHED, SAMPLES
from pipeline.demo import corpus
from pipeline.layout import Layout
from pipeline.store.database import open_database
from pipeline.store.sqlfiles import list_views

RESULTS = Path(__file__).parent / "RESULTS.md"
REFERENCE = "extract"


@dataclass
class Measured:
    """Seconds and peak MiB of each run."""

    seconds: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def peak(self) -> float:
        return max(self.peaks)


def measure(contender: str, source: Path, scratch: Path) -> tuple[float, float]:
    """Run one contender in a process of its own: wall seconds and peak MiB of all its processes together."""
    return measure_command([sys.executable, "-m", "bench.contenders", contender, str(source), str(scratch)])


def measure_command(command: list[str]) -> tuple[float, float]:
    """Run a command in a process of its own: wall seconds and peak MiB of all its processes together."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, resident(process.pid))
        time.sleep(0.02)
    seconds = time.perf_counter() - began
    if process.returncode:
        raise SystemExit(f"{shlex.join(command)} failed with exit status {process.returncode}")
    return seconds, peak


def resident(pid: int) -> float:
    """Resident MiB of a process and its descendants, shared pages counted once (Linux; 0 elsewhere)."""
    total, pending = 0, [pid]
    while pending:
        one = pending.pop()
        try:
            for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
            pending += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
        except (OSError, ValueError):
            continue
    return total / 1024


def run_rounds(names: list[str], source: Path, scratch: Path, runs: int) -> dict[str, Measured]:
    """Every contender once per round; the first round warms caches and is not counted."""
    results = {name: Measured() for name in names}
    for turn in range(runs + 1):
        for name in names:
            seconds, peak = measure(name, source, scratch)
            print(f"round {turn}: {name:28} {seconds:8.2f} s {peak:8.0f} MiB", file=sys.stderr, flush=True)
            if turn:
                results[name].seconds.append(seconds)
                results[name].peaks.append(peak)
    return results


def render_table(results: dict[str, Measured]) -> str:
    rows = ["| contender | median | range | time / extract | peak memory |", "| --- | ---: | ---: | ---: | ---: |"]
    reference = results[REFERENCE].median
    for name, one in results.items():
        factor = SAMPLES.get(name, 1)
        label = str(CONTENDERS[name].__doc__).splitlines()[0].rstrip(".")
        if factor != 1:
            label += f" (1 page in {factor}, its time times {factor})"
        seconds = one.median * factor
        spread = f"{min(one.seconds) * factor:.2f} to {max(one.seconds) * factor:.2f} s"
        rows.append(f"| {label} | {seconds:.2f} s | {spread} | {seconds / reference:.2f} | {one.peak:.0f} MiB |")
    return "\n".join(rows)


def describe_machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("duckdb", "pyarrow", "polars", "orjson", "pyyaml")
    )
    return (
        f"{platform.system()} on {platform.machine()}, {os.cpu_count()} processors, {memory:.0f} GiB of memory; "
        f"Python {platform.python_version()}, {versions}."
    )


def make_corpus(folder: Path, snapshots: int) -> str:
    totals = corpus.generate(folder, snapshots=snapshots, packages=1224, specs=20, seed=1)
    megabytes = totals["bytes"] / 1e6
    return f"{totals['pages']:,} pages, {totals['specs']:,} specs, {megabytes:,.0f} MB in {snapshots} snapshots"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="counted rounds")
    parser.add_argument("--snapshots", type=int, default=18, help="snapshots of the corpus, about 1,200 pages each")
    parser.add_argument("--growth", type=int, default=10, help="how many times larger the second corpus is; 1: none")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spack-warehouse-bench-") as name:
        folder = Path(name)
        small = folder / "small"
        said = make_corpus(small, args.snapshots)
        print(said, file=sys.stderr)
        results = run_rounds(list(CONTENDERS), small, folder / "scratch", args.runs)
        parts = [
            "# Benchmark results",
            f"Made by `make bench` on {dt.date.today().isoformat()}; do not edit.",
            describe_machine(),
            f"The corpus: {said}, generated by `pipeline/demo/corpus.py`. {args.runs} rounds after one that warms "
            "the caches; each contender in a process of its own, its start included.",
            render_table(results),
        ]
        parts += ["## Site and reports", measure_published(small, folder / "scratch", results["build"])]
        parts += ["## Queries on one snapshot", measure_queries(folder / "scratch" / "warehouse")]
        shutil.rmtree(small)
        if args.growth > 1:
            parts += measure_growth(folder, args.snapshots, args.growth, results)
        args.out.write_text("\n\n".join(parts) + "\n")
        print("\n\n".join(parts))


def measure_published(source: Path, scratch: Path, build: Measured) -> str:
    """What a site and reports of the warehouse take, once each, beside its build."""
    rows = ["| | time | time / build | peak memory |", "| --- | ---: | ---: | ---: |"]
    for name, function in PUBLISHED.items():
        if name == "site_changed":
            measure("rebuild_one_snapshot", source, scratch)
        seconds, peak = measure(name, source, scratch)
        print(f"once: {name:28} {seconds:8.2f} s {peak:8.0f} MiB", file=sys.stderr, flush=True)
        label = str(function.__doc__).rstrip(".")
        rows.append(f"| {label} | {seconds:.2f} s | {seconds / build.median:.2f} | {peak:.0f} MiB |")
    return "\n".join(rows)


def measure_queries(warehouse: Path) -> str:
    """How long each view takes for the largest snapshot, all of its rows and columns fetched."""
    rows = ["| view | median | rows |", "| --- | ---: | ---: |"]
    with open_database(Layout(warehouse)) as connection:
        query = "select snapshot from snapshots order by specs desc limit 1"
        ((largest,),) = connection.execute(query).fetchall()
        for view in list_views():
            query = f"select * from {view.name} where snapshot = ?"
            times = []
            for _ in range(7):
                began = time.perf_counter()
                table = connection.sql(query, params=[largest]).to_arrow_table()
                times.append(time.perf_counter() - began)
            rows.append(f"| {view.name} | {statistics.median(times) * 1000:.0f} ms | {table.num_rows:,} |")
    return "\n".join(rows)


def measure_growth(folder: Path, snapshots: int, growth: int, small: dict[str, Measured]) -> list[str]:
    """How time and memory grow with the corpus: one run on a larger one."""
    large = folder / "large"
    said = make_corpus(large, snapshots * growth)
    print(said, file=sys.stderr)
    names = ["build", "rebuild_unchanged"]
    rows = [f"| | once | {growth} times | grows by |", "| --- | ---: | ---: | ---: |"]
    for name in names:
        seconds, peak = measure(name, large, folder / "scratch")
        print(f"large: {name:28} {seconds:8.2f} s {peak:8.0f} MiB", file=sys.stderr, flush=True)
        one = small[name]
        rows.append(f"| {name}: time | {one.median:.2f} s | {seconds:.2f} s | {seconds / one.median:.1f} |")
        rows.append(f"| {name}: peak memory | {one.peak:.0f} MiB | {peak:.0f} MiB | {peak / one.peak:.2f} |")
    shutil.rmtree(large)
    return [f"## A corpus {growth} times as large", f"{said}.", "\n".join(rows)]


if __name__ == "__main__":
    main()
