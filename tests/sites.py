"""A small warehouse of build caches for the tests of the site, with what its pages have to cope with."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from pipeline.build import build
from pipeline.catalog.publish import Wish, publish_data
from pipeline.layout import Layout
from pipeline.publish.site import Wanted, publish_site
from pipeline.report.export import prune_reports
from tests.makers import make_hash, make_index, make_record, make_spec, write_page, write_pages, write_v2

SCRIPT = "<script>alert(1)</script>"
PROTO = "__proto__"
FIRST, SECOND, THIRD = "develop-2025-03-02", "develop-2025-03-09", "develop-2025-03-23"
FAILED_STACK = "hep"
"""Of :data:`THIRD` its index cannot be read."""


class Binary(NamedTuple):
    """A spec in an index; ``needs`` are the numbers of what it links and runs with."""

    package: str
    version: str
    number: int
    variants: tuple[str, ...] = ("+mpi",)
    needs: tuple[int, ...] = ()


ZLIB = Binary("zlib", "1.3.1", 1)
QEMU = Binary("qemu", "9.0", 4)
LIMA = Binary("lima", "1.0.1", 3, needs=(4,))
ODD_NAMES = (
    SCRIPT,
    "<img src=x onerror=alert(1)>",
    "CON",
    "con",
    "a/b",
    "..",
    "../x",
    "a b%2F",
    "a b/",
    "HDF5",
    "Zlib",
    "'&\"",
    "a?q=1#top",
    "index.html",
    "constructor",
    "=cmd()",
    "x\\y",
    "\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe",
    "\N{LATIN SMALL LETTER U WITH DIAERESIS}",
)
"""Of packages: what HTML, addresses, JavaScript, spreadsheets and file systems read otherwise."""
ODD = [Binary(name, "1.0", 100 + at) for at, name in enumerate(ODD_NAMES)]
UMPIRE = Binary("umpire", "2.0", 20)
OF_PROTO = [ZLIB, Binary(PROTO, "1.0", 21)]
CACHES: dict[tuple[str, str], list[Binary]] = {
    (FIRST, "e4s"): [ZLIB, Binary("hdf5", "1.14.3", 30), LIMA, QEMU, *ODD],
    (FIRST, "hep"): [ZLIB, Binary("hdf5", "1.14.3", 31)],
    (FIRST, "radiuss"): [ZLIB, UMPIRE],
    (FIRST, PROTO): OF_PROTO,
    (SECOND, "e4s"): [ZLIB, Binary("hdf5", "1.14.5", 32), LIMA, QEMU, *ODD],
    (SECOND, "hep"): [ZLIB, Binary("hdf5", "1.14.3", 33)],
    (SECOND, "radiuss"): [ZLIB, UMPIRE],
    (SECOND, PROTO): OF_PROTO,
    (THIRD, "e4s"): [ZLIB, Binary("hdf5", "1.14.5", 34, ("~mpi",)), Binary("curl", "8.0", 35), *ODD],
    (THIRD, PROTO): OF_PROTO,
    ("develop", "e4s"): [ZLIB, Binary("hdf5", "1.14.6", 36), LIMA, QEMU, *ODD],
    ("develop", PROTO): OF_PROTO,
    ("v0.23.1", "e4s"): [ZLIB, Binary("hdf5", "1.14.2", 37)],
    ("package", "e4s"): [ZLIB],
}


def write_site_sources(folder: Path, without: tuple[str, ...] = ()) -> Path:
    """The build caches of :data:`CACHES`, but for some snapshots; returns the folder."""
    for (snapshot, stack), binaries in CACHES.items():
        if snapshot not in without:
            write_v2(folder / snapshot / stack, make_index(map(make_binary, binaries)))
    if THIRD not in without:
        write_page(folder / THIRD / FAILED_STACK, b"{", "build_cache/index.json")
    return folder


def make_binary(one: Binary) -> dict[str, object]:
    parameters = {"deptypes": ["link", "run"], "virtuals": []}
    named = {binary.number: binary.package for binaries in CACHES.values() for binary in binaries}
    needs = [{"name": named[number], "hash": make_hash(number), "parameters": parameters} for number in one.needs]
    spec = make_spec(one.number, versions=[one.version], variants=list(one.variants))
    return make_record(spec, one.package, dependencies=needs)


def build_site_warehouse(folder: Path, without: tuple[str, ...] = ()) -> Path:
    """A warehouse of them below ``folder``; returns its folder."""
    build([write_site_sources(folder / "source", without)], folder / "warehouse", jobs=1)
    return folder / "warehouse"


FORMATS = ("html",)
BASE_URL = "https://example.org/spack/"


def make_site(folder: Path) -> None:
    """The warehouse below ``folder``, and its site in ``folder/site``: for ``build_once``."""
    warehouse = build_site_warehouse(folder)
    publish_site(Layout(warehouse), folder / "site", Wanted(FORMATS, base_url=BASE_URL))


GONE, GONE_PACKAGE = "develop-2025-02-23", "vanished"
"""A snapshot that is no longer in the warehouse, and what it alone had."""
ODD_SNAPSHOT = "we <b>ird</b> 50%23#\N{LATIN SMALL LETTER U WITH DIAERESIS}"
ODD_STACKS = (PROTO, "constructor", "<b>x</b>", "..", "a%2Fb c")


def make_whole_site(folder: Path) -> None:
    """A site with every kind of page, its data beside it, in ``folder/site``: for ``build_once``.

    A snapshot and a package are gone, the reports of all but the newest two snapshots pruned; pages are named oddly.
    """
    source, site = folder / "source", folder / "site"
    of_gone = [make_spec(90 + at, stacks=[stack, "root"]) for at, stack in enumerate(ODD_STACKS)]
    pages = write_pages(folder / "pages", {(GONE, GONE_PACKAGE): of_gone, (GONE, "zlib"): of_gone[:1]})
    odd = write_pages(folder / "odd", {(ODD_SNAPSHOT, SCRIPT): of_gone})
    write_site_sources(source, without=(FIRST, "package"))
    for sources in ([source, odd, pages], [source, odd]):
        build(sources, folder / "warehouse", jobs=1)
        prune_reports(site, [THIRD, "develop"])
        publish_site(
            Layout(folder / "warehouse"), site, Wanted(FORMATS, [THIRD, "develop"], base_url=BASE_URL, data=True)
        )
    publish_data(Layout(folder / "warehouse"), site, Wish(base_url=BASE_URL, history=1))


def packages_of(snapshot: str) -> dict[str, set[str]]:
    """By stack the packages that a snapshot has."""
    held: dict[str, set[str]] = defaultdict(set)
    for (of, stack), binaries in CACHES.items():
        if of == snapshot:
            held[stack].update(binary.package for binary in binaries)
    return dict(held)
