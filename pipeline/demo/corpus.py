"""Generate a corpus of cache pages that looks like the real one, for the demo and the benchmarks.

The shapes are read off real pages of cache.spack.io: about 1,200 pages to a snapshot, about 20
specs to a page with a long tail (most packages have a handful, ``gmake`` or ``python`` hundreds),
a spec in ``root`` and in one to four stacks, about 350 bytes to a spec. Between two snapshots most
hashes survive, some are rebuilt under a new hash, a few packages come and go. Pages up to March
2025 spell compilers ``gcc@=11.4.0``, later ones ``gcc@11.4.0`` or ``none``; the oldest have
unsorted keys and a ``tarball`` per spec.

The same seed and sizes give the same bytes::

    python -m pipeline.demo.corpus DIR [--snapshots 18] [--packages 1200] [--specs 20] [--seed 1]
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HASH_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"

# (stack, os, platform, target, compilers): what a CI stack builds for, as on the real pages.
STACKS = (
    ("e4s", "ubuntu22.04", "linux", "x86_64_v3", ("gcc@11.4.0",)),
    ("e4s-oneapi", "ubuntu22.04", "linux", "x86_64_v3", ("oneapi@2024.2.1", "gcc@11.4.0")),
    ("e4s-neoverse-v2", "ubuntu22.04", "linux", "neoverse_v2", ("gcc@11.4.0",)),
    ("e4s-cray-rhel", "rhel8", "linux", "x86_64_v3", ("cce@18.0.0",)),
    ("e4s-rocm-external", "ubuntu22.04", "linux", "x86_64_v3", ("gcc@11.4.0",)),
    ("radiuss", "ubuntu18.04", "linux", "x86_64_v3", ("gcc@7.5.0",)),
    ("tutorial", "ubuntu22.04", "linux", "x86_64_v3", ("gcc@11.4.0", "gcc@12.3.0", "clang@14.0.0")),
    ("hep", "ubuntu22.04", "linux", "x86_64_v3", ("gcc@11.4.0",)),
    ("data-vis-sdk", "ubuntu20.04", "linux", "x86_64_v3", ("gcc@11.1.0",)),
    ("developer-tools-x86_64_v3-linux-gnu", "centos7", "linux", "x86_64_v3", ("gcc@10.5.0",)),
    ("developer-tools-aarch64-linux-gnu", "rhel8", "linux", "aarch64", ("gcc@13.3.0",)),
    ("developer-tools-darwin", "sequoia", "darwin", "aarch64", ("apple-clang@16.0.0",)),
    ("ml-darwin-aarch64-mps", "sequoia", "darwin", "aarch64", ("apple-clang@16.0.0",)),
    ("ml-linux-x86_64-cpu", "ubuntu24.04", "linux", "x86_64_v3", ("gcc@13.2.0",)),
    ("ml-linux-x86_64-cuda", "ubuntu24.04", "linux", "x86_64_v3", ("gcc@13.2.0",)),
    ("ml-linux-x86_64-rocm", "ubuntu24.04", "linux", "x86_64_v3", ("gcc@13.2.0",)),
    ("ml-linux-aarch64-cpu", "ubuntu24.04", "linux", "aarch64", ("gcc@13.2.0",)),
    ("ml-linux-aarch64-cuda", "ubuntu24.04", "linux", "aarch64", ("gcc@13.2.0",)),
    ("aws-pcluster-x86_64_v4", "amzn2", "linux", "x86_64_v4", ("gcc@12.4.0", "oneapi@2024.2.1")),
    ("aws-pcluster-neoverse_v1", "amzn2", "linux", "neoverse_v1", ("gcc@12.4.0",)),
)

SYLLABLES = [
    "ar",
    "blas",
    "cu",
    "dyn",
    "eigen",
    "fft",
    "geo",
    "hdf",
    "io",
    "json",
    "kok",
    "lib",
    "mpi",
    "net",
    "omp",
    "par",
    "q",
    "ros",
    "scot",
    "tri",
]
VARIANT_NAMES = [
    "shared",
    "pic",
    "mpi",
    "openmp",
    "cuda",
    "rocm",
    "fortran",
    "cxx",
    "threadsafe",
    "tools",
    "doc",
    "examples",
    "int64",
    "hl",
    "map",
    "szip",
    "debug",
    "static",
    "libs",
    "profile",
    "tests",
    "python",
]

REAL_NAMES = Path(__file__).with_name("packages.txt").read_text().split()
"""Packages that are in Spack's caches."""

REBUILT = 0.25  # share of a package's specs that get a new hash in the next snapshot
ABSENT = 0.02  # share of packages that a snapshot lacks


@dataclass(frozen=True)
class Spec:
    """One spec of a page, before it is spelt in a page's generation."""

    hash: str
    version: str
    compiler: str
    os: str
    platform: str
    target: str
    variants: tuple[str, ...]
    stacks: tuple[str, ...]


class PackageModel:
    """A package and its specs, which change a little from snapshot to snapshot."""

    def __init__(self, rng: random.Random, name: str, mean_specs: float) -> None:
        self.rng = rng
        self.name = name
        self.python = name.startswith("py-")
        major = rng.randint(0, 4)
        self.versions = [f"{major}.{rng.randint(0, 30)}.{patch}" for patch in range(rng.randint(1, 3))]
        wanted = 0 if self.python else min(len(VARIANT_NAMES), int(rng.expovariate(1 / 4)))
        self.variants = sorted(rng.sample(VARIANT_NAMES, wanted))
        # Log-normal: the long tail of gmake and python; the factor keeps the mean at mean_specs.
        count = max(1, round(rng.lognormvariate(0, 1.0) * mean_specs / 1.6487))
        self.specs = [self.make_spec() for _ in range(count)]

    def make_hash(self) -> str:
        bits = self.rng.getrandbits(160)
        return "".join(HASH_ALPHABET[bits >> shift & 31] for shift in range(0, 160, 5))

    def make_spec(self) -> Spec:
        rng = self.rng
        stack, os, platform, target, compilers = rng.choice(STACKS)
        alike = [other[0] for other in STACKS if other[1:4] == (os, platform, target)]
        stacks = {"root", stack, *rng.sample(alike, min(len(alike), rng.choice((0, 0, 1, 1, 2, 3))))}
        if rng.random() < 0.03:
            stacks = {"root"}
        system = "python_pip" if self.python else rng.choice(("autotools", "cmake", "generic"))
        variants = [f"build_system={system}"]
        if system == "cmake":
            variants += ["build_type=Release", "generator=make"]
        for name in self.variants:
            variants.append(rng.choice("+~") + name)
            if name == "cuda" and variants[-1] == "+cuda":
                variants.append("cuda_arch=80,90")
            if name == "mpi" and rng.random() < 0.2:
                variants.append("fabrics=ofi,verbs")
        if rng.random() < 0.1:
            variants.append(f"patches={rng.getrandbits(28):07x},{rng.getrandbits(28):07x}")
        return Spec(
            hash=self.make_hash(),
            version=rng.choice(self.versions),
            compiler=rng.choice(compilers),
            os=os,
            platform=platform,
            target=target,
            variants=tuple(variants),
            stacks=tuple(sorted(stacks)),
        )

    def step(self) -> None:
        """Move to the next snapshot: rebuild some specs, now and then replace one."""
        for at, spec in enumerate(self.specs):
            if self.rng.random() < REBUILT:
                self.specs[at] = (
                    self.make_spec() if self.rng.random() < 0.1 else Spec(**{**spec.__dict__, "hash": self.make_hash()})
                )


def spell_spec(spec: Spec, python: bool, generation: str) -> dict[str, Any]:
    """A spec as a page of the generation spells it: ``oldest``, ``old`` or ``new``."""
    compiler = spec.compiler.replace("@", "@=")
    if generation == "new":
        compiler = "none" if python else spec.compiler
    spelt: dict[str, Any] = {
        "compiler": compiler,
        "hash": spec.hash,
        "os": spec.os,
        "platform": spec.platform,
        "size": "-",
        "stacks": list(spec.stacks),
        "target": spec.target,
        "variants": list(spec.variants),
        "versions": [spec.version],
    }
    if generation == "oldest":
        spelt = {
            key: spelt[key]
            for key in ("hash", "versions", "os", "platform", "target", "size", "compiler", "variants", "stacks")
        }
        # As pages up to v0.22.1 list them: in no order, and root anywhere.
        spelt["stacks"] = sorted(spec.stacks, key=lambda stack: stack[::-1])
        spelt["tarball"] = f"https://binaries.spack.io/mirror/build_cache/{spec.hash}.spack"
    return spelt


def count_meta(specs: list[dict[str, Any]]) -> dict[str, object]:
    """The page's own ``meta``: counts and distinct values of its specs."""

    def distinct(key: str) -> list[str]:
        return sorted({str(spec[key]) for spec in specs})

    by_stack = Counter(stack for spec in specs for stack in spec["stacks"])
    return {
        "compilers": distinct("compiler"),
        "num_specs": len(specs),
        "num_specs_by_stack": dict(sorted(by_stack.items())),
        "oss": distinct("os"),
        "platforms": distinct("platform"),
        "stacks": sorted(by_stack),
        "targets": distinct("target"),
        "versions": sorted({version for spec in specs for version in spec["versions"]}),
    }


def render_page(package: str, snapshot: str, specs: list[dict[str, Any]]) -> str:
    """A page's text, as cache.spack.io's generator writes it."""
    return (
        "---\n"
        f"title: {json.dumps(package)}\n"
        "layout: cache\n"
        f"categories: [package, {snapshot}]\n"
        f"meta: {json.dumps(count_meta(specs))}\n"
        f"spec_details: {json.dumps(specs)}\n"
        "---\n"
    )


def name_packages(rng: random.Random, count: int) -> list[str]:
    names: set[str] = set()
    while len(names) < count:
        name = "-".join(rng.choices(SYLLABLES, k=rng.randint(1, 3))) + rng.choice(("", "", "2", "5"))
        names.add(f"py-{name}" if rng.random() < 0.4 else name)
    return sorted(names)


def name_snapshots(count: int) -> list[tuple[str, str]]:
    """(snapshot, generation), oldest first: weekly snapshots, and ``develop`` last."""
    first = dt.date(2025, 6, 1) - dt.timedelta(weeks=count - 2)
    named = []
    for week in range(count - 1):
        day = first + dt.timedelta(weeks=week)
        age = "oldest" if week < count // 9 else "old" if day < dt.date(2025, 3, 20) else "new"
        named.append((f"develop-{day.isoformat()}", age))
    return [*named, ("develop", "new")]


def generate(folder: Path, snapshots: int, packages: int | Sequence[str], specs: float, seed: int) -> Counter[str]:
    """Write the corpus below ``folder``; counts of ``pages``, ``specs`` and ``bytes``.

    ``packages`` are their names, or how many there are, whose names are invented; ``specs`` is the mean of a page.
    """
    rng = random.Random(seed)
    names = name_packages(rng, packages) if isinstance(packages, int) else packages
    models = [PackageModel(rng, name, specs) for name in names]
    totals: Counter[str] = Counter()
    for snapshot, generation in name_snapshots(snapshots):
        for model in models:
            if totals["pages"]:
                model.step()
            if rng.random() < ABSENT:
                continue
            spelt = [spell_spec(spec, model.python, generation) for spec in sorted(model.specs, key=lambda s: s.hash)]
            page = folder / "_cache" / snapshot / model.name / "specs.md"
            page.parent.mkdir(parents=True, exist_ok=True)
            text = render_page(model.name, snapshot, spelt).encode()
            page.write_bytes(text)
            totals.update(pages=1, specs=len(spelt), bytes=len(text))
    return totals


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--snapshots", type=int, default=18)
    parser.add_argument("--packages", type=int, default=1224)
    parser.add_argument("--specs", type=float, default=20, help="mean specs of a page")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    totals = generate(args.folder, args.snapshots, args.packages, args.specs, args.seed)
    print(f"{totals['pages']:,} pages, {totals['specs']:,} specs, {totals['bytes'] / 1e6:,.1f} MB")


if __name__ == "__main__":
    main()
