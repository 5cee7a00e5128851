"""Specs, pages and warehouses for the tests: small, readable, and odd where it matters."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import settings
from hypothesis import strategies as st

from pipeline.build import BuildSummary, build
from pipeline.layout import Layout

SAMPLE = Path(__file__).parent / "data" / "pages"
"""Pages of cache.spack.io as it had them."""

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
Record = dict[str, Any]


def make_hash(number: int) -> str:
    """A hash of 32 letters, another for each number."""
    letters = ""
    for _ in range(32):
        letters = ALPHABET[number % 32] + letters
        number //= 32
    return letters


def make_spec(number: int = 0, **changes: Any) -> Record:
    """A spec as pages spell it; ``changes`` replace keys, and one that is ``...`` takes the key out."""
    spec: Record = {
        "compiler": "gcc@11.4.0",
        "hash": make_hash(number),
        "os": "ubuntu22.04",
        "platform": "linux",
        "size": "-",
        "stacks": ["e4s", "root"],
        "target": "x86_64_v3",
        "variants": ["build_system=cmake", "+mpi", "~cuda"],
        "versions": ["1.14.5"],
    }
    spec.update(changes)
    return {key: value for key, value in spec.items() if value is not ...}


def count_meta(specs: Iterable[Record]) -> Record:
    """A page's meta, counted in plain Python."""
    specs = list(specs)

    def distinct(key: str) -> list[str]:
        return sorted({spec[key] for spec in specs})

    by_stack = Counter(stack for spec in specs for stack in set(spec["stacks"]))
    return {
        "num_specs": len(specs),
        "num_specs_by_stack": dict(by_stack),
        "compilers": distinct("compiler"),
        "oss": distinct("os"),
        "platforms": distinct("platform"),
        "targets": distinct("target"),
        "versions": sorted({version for spec in specs for version in spec["versions"]}),
        "stacks": sorted(by_stack),
    }


def make_page(specs: Iterable[Record], package: str = "hdf5", snapshot: str = "develop", meta: Any = None) -> str:
    """A page as cache.spack.io's generator writes it; ``meta`` is counted where it is not given."""
    specs = list(specs)
    return (
        "---\n"
        f"title: {json.dumps(package)}\n"
        "layout: cache\n"
        f"categories: [package, {snapshot}]\n"
        f"meta: {json.dumps(count_meta(specs) if meta is None else meta)}\n"
        f"spec_details: {json.dumps(specs)}\n"
        "---\n"
    )


def write_page(folder: Path, text: str | bytes, name: str = "page.md") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


Pages = Mapping[tuple[str, str], Iterable[Record]]
"""The specs of each (snapshot, package)."""


def write_pages(folder: Path, pages: Pages, metas: Mapping[tuple[str, str], Any] | None = None) -> Path:
    """Write a page for each (snapshot, package) as the site lays them out; returns the folder.

    ``metas`` gives the meta of those pages that shall not have their own, counted one.
    """
    for (snapshot, package), specs in pages.items():
        name = f"_cache/{snapshot}/{package.replace('/', '_')}/specs.md"
        meta = (metas or {}).get((snapshot, package))
        plain = re.fullmatch(r"[a-z][a-z0-9.-]*", snapshot) and yaml.safe_load(snapshot) == snapshot
        write_page(folder, make_page(specs, package, snapshot if plain else json.dumps(snapshot), meta), name)
    return folder


def build_pages(folder: Path, pages: Pages, metas: Mapping[tuple[str, str], Any] | None = None) -> Path:
    """A warehouse of ``pages`` below ``folder``; returns its folder."""
    build([write_pages(folder / "source", pages, metas)], folder / "warehouse", jobs=1)
    return folder / "warehouse"


def build_text(folder: Path, text: str | bytes) -> tuple[BuildSummary, Path]:
    """A warehouse of one page given as text: the summary and the warehouse's folder."""
    write_page(folder / "source", text)
    return build([folder / "source"], folder / "warehouse", jobs=1), folder / "warehouse"


def ask(warehouse: Path, query: str) -> list[tuple[Any, ...]]:
    """The rows that a query gives on a warehouse, opened as any reader would."""
    with duckdb.connect(str(Layout(warehouse).database.resolve()), read_only=True) as connection:
        return connection.execute(query).fetchall()


def rejects(warehouse: Path) -> list[tuple[str, str, str]]:
    return ask(warehouse, "select path, place, reason from rejects order by all")


def parquet_bytes(warehouse: Path) -> dict[str, bytes]:
    """Every Parquet file of the published build, by its path."""
    current = Layout(warehouse).current
    assert current is not None
    return {str(path.relative_to(current.folder)): path.read_bytes() for path in current.folder.rglob("*.parquet")}


FLAGS = ("cflags", "cppflags", "cxxflags", "fflags", "ldflags", "ldlibs")


def make_record(spec: Record, package: str = "hdf5", **changes: Any) -> Record:
    """The record of a page's spec in an index of Spack 0.21 to 0.23 (database version 7).

    ``changes`` are keys of the record itself, or of its spec.
    """
    parameters: Record = {}
    for variant in spec["variants"]:
        name, equals, value = variant.partition("=")
        parameters[name if equals else name[1:]] = value if equals else name[0] == "+"
    name, _, version = spec["compiler"].partition("@")
    node = {
        "name": package,
        "version": spec["versions"][0],
        "arch": {"platform": spec["platform"], "platform_os": spec["os"], "target": spec["target"]},
        "namespace": "builtin",
        "parameters": {**parameters, **{flag: [] for flag in FLAGS}},
        "package_hash": "x" * 52 + "====",
        "dependencies": [],
        "hash": spec["hash"],
    }
    if version.startswith("="):
        node["compiler"] = {"name": name, "version": version.removeprefix("=")}
    elif name != "none":  # as Spack 1 writes down an old spec
        node["annotations"] = {"original_specfile_version": 4, "compiler": spec["compiler"]}
    record = {"spec": node, "ref_count": 0, "in_buildcache": True}
    for key, value in changes.items():
        (record if key in ("in_buildcache", "installed", "deprecated_for", "ref_count") else node)[key] = value
    return record


def edge(number: int, name: str, *deptypes: str, virtuals: Iterable[str] = ()) -> Record:
    """A dependency on the spec of a number, by default to link with it."""
    parameters = {"deptypes": list(deptypes or ["link"]), "virtuals": list(virtuals)}
    return {"name": name, "hash": make_hash(number), "parameters": parameters}


def needs(number: int = 90, name: str = "glibc") -> Record:
    """The dependency on a libc."""
    return edge(number, name, virtuals=["libc"])


def libc(number: int, version: str = "2.35", name: str = "glibc", path: str = "/usr", **changes: Any) -> Record:
    """The record of an external, by default a libc."""
    spec = make_spec(number, versions=[version], compiler="none", **changes)
    return make_record(spec, name, in_buildcache=False, external={"path": path, "module": None})


def binary(
    number: int, name: str, *edges: Record, compiler: str = "none", platform: str = "linux", **changes: Any
) -> Record:
    """The record of a spec with these dependencies, by default not compiled."""
    spec = make_spec(number, compiler=compiler, platform=platform)
    return make_record(spec, name, dependencies=list(edges), **changes)


def make_index(records: Iterable[Record], version: str = "7") -> bytes:
    """An index as ``spack buildcache update-index`` writes it."""
    installs = {record["spec"]["hash"]: record for record in records}
    return json.dumps({"database": {"version": version, "installs": installs}}).encode()


def write_v2(mirror: Path, index: bytes, checksum: str | None = None) -> Path:
    """A mirror of layout v2 that holds nothing but its index and the index's checksum."""
    write_page(mirror, index, "build_cache/index.json")
    write_page(mirror, checksum or hashlib.sha256(index).hexdigest(), "build_cache/index.json.hash")
    return mirror


def write_v3(mirror: Path, index: bytes, compression: str = "none", version: str = "8", view: str = "") -> Path:
    """A mirror of layout v3 that holds nothing but its index."""
    blob = gzip.compress(index, mtime=0) if compression == "gzip" else index
    checksum = hashlib.sha256(blob).hexdigest()
    entry = {
        "contentLength": len(blob),
        "mediaType": f"application/vnd.spack.db.v{version}+json",
        "compression": compression,
        "checksumAlgorithm": "sha256",
        "checksum": checksum,
    }
    write_page(mirror, blob, f"blobs/sha256/{checksum[:2]}/{checksum}")
    name = f"v3/manifests/index/{view}{'/' if view else ''}index.manifest.json"
    write_page(mirror, json.dumps({"version": 3, "data": [entry]}), name)
    return mirror


def write_caches(folder: Path, pages: Pages) -> Path:
    """The build caches that hold what ``pages`` say: a mirror per stack beside the root mirror's."""
    records: dict[tuple[str, str], list[Record]] = {}
    for (snapshot, package), specs in pages.items():
        for spec in specs:
            for stack in spec["stacks"]:
                records.setdefault((snapshot, stack), []).append(make_record(spec, package))
    for (snapshot, stack), held in records.items():
        write_v2(folder / snapshot / ("" if stack == "root" else stack), make_index(held))
    return folder


def thorough(quick: int, full: int) -> Callable[[Any], Any]:
    """Marks a test of random input each example of which is dear, as a warehouse is: ``make test`` tries ``quick`` of
    them, and ``make test-slow``, whose profile of Hypothesis is "full", ``full``.
    """

    def mark(test: Any) -> Any:
        if settings.get_current_profile_name() == "full":
            return pytest.mark.slow(settings(max_examples=full)(test))
        return settings(max_examples=quick)(test)

    return mark


def rest_slow(values: Iterable[Any], quick: int = 1) -> list[Any]:
    """Values of a test that is dear: ``make test`` tries the first ``quick``, and ``make test-slow`` the others."""
    listed = list(values)
    return [*listed[:quick], *(pytest.param(value, marks=pytest.mark.slow) for value in listed[quick:])]


# What names are made of in the property tests: plain ones, and what trips SQL, YAML, CSV or HTML.
names = st.sampled_from(
    ["e4s", "E4S", "hep", "root", "snapshot", "package", "a'b", 'a"b', "a b", "=cmd", "<script>", "ü"]
)
texts = st.sampled_from(
    ["x", "1.0", "no", "null", "~", "a: b", "#c", "- d", "e'f", 'g"h', "é", "\\", "{", "[1]", "1e3", "☃"]
)
versions = st.sampled_from(["1.9", "1.10", "1.10.0", "1.09", "develop", "main", "2.0rc1", "2.0-rc1", "2.0"])
hashes = st.integers(0, 32**6).map(make_hash)

specs = st.builds(
    make_spec,
    number=st.integers(0, 5000),
    compiler=st.sampled_from(
        ["none", "gcc@11.4.0", "gcc@=11.4.0", "gcc@=7.5.0", "oneapi@=2024.2.1", "clang@14", "gcc"]
    ),
    os=texts,
    platform=st.sampled_from(["linux", "darwin"]),
    size=st.sampled_from(["-", "12", "123456789012"]),
    stacks=st.lists(names, min_size=1, max_size=4, unique=True),
    target=st.sampled_from(["x86_64_v3", "x86_64_v4", "zen4", "aarch64", "graviton2"]),
    variants=st.lists(st.sampled_from(["+mpi", "~cuda", "k=a,b", "k:=v", "cflags=-O2 -g", 'x="y"']), max_size=4),
    versions=st.lists(texts | versions, min_size=1, max_size=1),
    tarball=st.one_of(st.just(...), st.none(), st.just("https://host/x.spack")),
)


FAULTS = st.sampled_from(
    [
        {"hash": "short"},
        {"hash": None},
        {"os": ""},
        {"os": 5},
        {"stacks": []},
        {"stacks": [1]},
        {"versions": ["1", "2"]},
        {"size": "?"},
        {"compiler": "@"},
        {"target": ...},
        {"extra": 1},
        {"tarball": 5},
        {"platform": "a\0"},
        {"variants": [""]},
    ]
)
broken_specs = st.builds(
    lambda spec, fault: {k: v for k, v in {**spec, **fault}.items() if v is not ...}, specs, FAULTS
)


def unique_specs(max_size: int = 6) -> st.SearchStrategy[list[Record]]:
    return st.lists(specs, max_size=max_size, unique_by=lambda spec: spec["hash"])
