"""Measure what closures (libc, what installs, what is missing) take of the build of a large index.

The index is of one stack: each spec links with nine of the few hundred before it, and with glibc. It is built twice:
with all in the cache, and with one of a hundred a hole, so that nearly every spec has many missing dependencies. The
share is of one run, so that a slow machine makes no difference; at most a quarter is the aim::

    python -m bench.closures [SPECS]     by default 100,000, with a million edges
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipeline.build import build
from pipeline.store import parquet

SPECS, EDGES, NEAR = 100_000, 10, 300
HOLES = (0.0, 0.01)
STEPS = ("Graph", "find_installs", "add_libcs")
"""What :mod:`pipeline.store.parquet` does about closures."""
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
LIBC = "l" * 32
ARCH = {"platform": "linux", "platform_os": "ubuntu22.04", "target": "x86_64_v3"}


def make_hash(rng: random.Random) -> str:
    return "".join(rng.choices(ALPHABET, k=32))


def make_edge(name: str, hash: str, *virtuals: str) -> dict[str, Any]:
    return {"name": name, "hash": hash, "parameters": {"deptypes": ["build", "link"], "virtuals": virtuals}}


def make_records(specs: int, holes: float, seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of an index by hash, glibc first."""
    rng = random.Random(seed)
    common = {"arch": ARCH, "namespace": "builtin", "parameters": {"build_system": "cmake"}}
    libc = {**common, "name": "glibc", "version": "2.35", "external": {"path": "/usr", "module": None}, "hash": LIBC}
    yield LIBC, {"spec": libc, "ref_count": 1, "in_buildcache": False}
    before: list[str] = []
    for number in range(specs):
        below = rng.sample(range(max(0, number - NEAR), number), min(EDGES - 1, number))
        edges = [make_edge("glibc", LIBC, "libc"), *(make_edge(f"p{at % 5000}", before[at]) for at in below)]
        hash = make_hash(rng)
        before.append(hash)
        spec = {
            **common,
            "name": f"p{number % 5000}",
            "version": f"1.{number // 5000}",
            "compiler": {"name": "gcc", "version": "11.4.0"},
            "package_hash": hash,
            "dependencies": edges,
            "hash": hash,
        }
        yield hash, {"spec": spec, "ref_count": 1, "in_buildcache": rng.random() >= holes}


def write_cache(folder: Path, specs: int, holes: float) -> Path:
    """Write the build cache; returns its folder."""
    path = folder / "develop" / "e4s" / "build_cache" / "index.json"
    path.parent.mkdir(parents=True)
    with path.open("w") as file:
        file.write('{"database": {"version": "7", "installs": {')
        for number, (hash, record) in enumerate(make_records(specs, holes, seed=1)):
            file.write(f"{', ' if number else ''}{json.dumps(hash)}: {json.dumps(record)}")
        file.write("}}}")
    return folder


def time_steps(spent: dict[str, float]) -> None:
    """Have each of :data:`STEPS` add the seconds that it takes to ``spent``."""

    def timed(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return step(*arguments)
            finally:
                spent[name] += time.perf_counter() - began

        return run

    for name in STEPS:
        setattr(parquet, name, timed(name, getattr(parquet, name)))


def measure(specs: int, holes: float, spent: dict[str, float]) -> None:
    """Build such an index and print the share; ``spent`` is what the steps count into."""
    spent.update(dict.fromkeys(STEPS, 0.0))
    with tempfile.TemporaryDirectory(prefix="spack-warehouse-closures-") as name:
        summary = build([write_cache(Path(name, "source"), specs, holes)], Path(name, "warehouse"), jobs=1)
    print(f"{specs:,} records, {specs * EDGES:,} edges, {holes:.0%} holes; build {summary.seconds:.1f} s")
    for step, seconds in (*spent.items(), ("closures", sum(spent.values()))):
        print(f"  {step:13} {seconds:6.2f} s  {seconds / summary.seconds:4.0%}")


def main() -> None:
    specs = int(sys.argv[1]) if len(sys.argv) > 1 else SPECS
    spent: dict[str, float] = {}
    time_steps(spent)
    for holes in HOLES:
        measure(specs, holes, spent)


if __name__ == "__main__":
    main()
