"""Where the commands of the documents are run: the files that each section speaks of, made small."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.commands import run
from tests.makers import edge, make_index, make_record, make_spec, write_page, write_pages, write_v2, write_v3
from tests.servers import serve
from tests.test_firstpages import make_node, make_spec_file, write_first
from tests.test_sizes import write_mirror

ROOT = Path(__file__).parent.parent
MADE = {"make warehouse": "spack-warehouse build tests/data/pages"}
"""What a target of make runs, but for the virtual environment."""

Scene = Callable[[Path], AbstractContextManager[Mapping[str, str]]]


@contextmanager
def prepare(section: str, block: str, folder: Path, sample: Path) -> Iterator[Mapping[str, str]]:
    """Fill ``folder`` as a block of the section needs it; gives what stands for what in it, as a server for another.

    A section without a scene of its own has the warehouse of the sample pages, and ``caches``, that of a build cache.
    """
    for name in ("tests", "examples", "contrib"):
        (folder / name).symlink_to(ROOT / name)
    if section in SCENES:
        with SCENES[section](folder) as replaced:
            yield replaced
    else:
        shutil.copytree(sample, folder / "warehouse", symlinks=True)
        if "--warehouse caches" in block:
            run("build", "tests/data/caches/spack-1.1", "--warehouse", "caches", cwd=folder)
        yield {}


@contextmanager
def write_nothing(folder: Path) -> Iterator[Mapping[str, str]]:
    yield {}


@contextmanager
def write_site_of_2021(folder: Path) -> Iterator[Mapping[str, str]]:
    files = [make_spec_file(make_node(number, versions=[f"0.{number + 1}.1"])) for number in range(2)]
    write_first(folder / "cache.spack.io", files)
    yield {}


@contextmanager
def write_tagged_site(folder: Path) -> Iterator[Mapping[str, str]]:
    specs = [make_spec(1, stacks=["e4s", "root"]), make_spec(2, stacks=["hep"])]
    write_pages(folder / "site", {("develop", "hdf5"): specs})
    write_page(folder / "site", json.dumps([{"name": "develop", "stacks": ["e4s", "gone"]}]), "_data/tags.yaml")
    yield {}


@contextmanager
def serve_sized_mirror(folder: Path) -> Iterator[Mapping[str, str]]:
    write_mirror(folder / "served" / "develop" / "e4s", {1: 100, 2: 5}, 3)
    with serve() as site:
        site.put_folder(folder / "served")
        yield {"https://binaries.spack.io": site.url}


@contextmanager
def write_mirrors(folder: Path) -> Iterator[Mapping[str, str]]:
    """Two snapshots of two stacks of layout v2, a stack by Spack 1, and an environment of petsc that is newer."""
    zlib = make_record(make_spec(1, versions=["2.2.3"]), "zlib-ng")
    mpich = make_record(make_spec(2, versions=["4.2.3"]), "mpich")
    hdf5 = make_record(make_spec(3), "hdf5", dependencies=[edge(1, "zlib-ng"), edge(2, "mpich")])
    blas = make_record(make_spec(4, versions=["0.3.29"]), "openblas")
    needed = [edge(number, name) for number, name in ((2, "mpich"), (3, "hdf5"), (4, "openblas"))]
    petsc = make_record(make_spec(5, versions=["3.22.4"]), "petsc", dependencies=needed)
    cmake = make_record(make_spec(6, versions=["3.31.6"]), "cmake")
    stacks = {
        "develop-2025-03-23/e4s": [zlib, mpich, hdf5, blas, petsc],
        "develop-2025-03-23/hpc": [zlib, mpich, hdf5, cmake],
        "develop-2025-03-30/e4s": [zlib, mpich, hdf5, blas, petsc],
        "develop-2025-03-30/hpc": [zlib, mpich, cmake],
    }
    for stack, records in stacks.items():
        write_v2(folder / "mirrors" / stack, make_index(records))
    julia = make_record(make_spec(7, versions=["1.11.4"]), "julia")
    records = [zlib, mpich, hdf5, blas, petsc, cmake, julia]
    write_v3(folder / "mirrors" / "develop-2025-03-30/gpu", make_index(records, version="8"))
    write_lock(folder / "spack.lock")
    yield {}


def write_lock(path: Path) -> None:
    """The lock file of an environment of petsc that was concretized since: with a newer zlib-ng."""
    records = [
        make_record(make_spec(11, versions=["2.2.4"]), "zlib-ng"),
        make_record(make_spec(2, versions=["4.2.3"]), "mpich"),
        make_record(make_spec(13), "hdf5", dependencies=[edge(11, "zlib-ng"), edge(2, "mpich")]),
        make_record(make_spec(15, versions=["3.22.4"]), "petsc", dependencies=[edge(2, "mpich"), edge(13, "hdf5")]),
    ]
    lock = {
        "_meta": {"file-type": "spack-lockfile", "lockfile-version": 5},
        "roots": [{"hash": records[-1]["spec"]["hash"], "spec": "petsc"}],
        "concrete_specs": {record["spec"]["hash"]: record["spec"] for record in records},
    }
    path.write_text(json.dumps(lock))


@contextmanager
def write_bad_day(folder: Path) -> Iterator[Mapping[str, str]]:
    """Mirrors of which a warehouse was built; since then a snapshot is gone and two indexes are damaged."""
    first, second = folder / "mirrors" / "develop-2025-03-16", folder / "mirrors" / "develop-2025-03-30"
    write_v2(first / "e4s", make_index(make_record(make_spec(number)) for number in range(3)))
    write_v2(second / "e4s", make_index(make_record(make_spec(number)) for number in range(4)))
    write_v2(second / "hep", make_index(make_record(make_spec(number)) for number in range(6)))
    run("build", "mirrors", cwd=folder)
    shutil.rmtree(first)
    write_v2(second / "e4s", b"<!doctype html>")
    write_v2(second / "hep", make_index([make_record(make_spec(0))]))
    yield {}


@contextmanager
def write_configuration(folder: Path) -> Iterator[Mapping[str, str]]:
    """The configuration that the page on scheduled reports shows, with the sample pages beside it."""
    (config,) = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / "docs" / "scheduled.md").read_text(), re.M | re.S)
    (folder / "coverage.yaml").write_text(config)
    yield {}


SCENES: dict[str, Scene] = {
    "Two commands": write_nothing,
    "Pages of 2021": write_site_of_2021,
    "Tags of a site": write_tagged_site,
    "Sizes": serve_sized_mirror,
    "From indexes": write_mirrors,
    "What stays": write_bad_day,
    "Expected lists": write_mirrors,
    "Scheduled reports": write_configuration,
}
