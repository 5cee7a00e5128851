"""The spec syntax of the page in Chromium, beside that of the warehouse: the same specs, the same misses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SpecSyntaxError
from pipeline.report.columns import encode_table
from pipeline.report.page import read_asset
from pipeline.spack.compilers import RENAMED
from pipeline.spack.hosts import list_ancestry
from pipeline.spack.spec import Candidate, find_misses, parse_spec
from pipeline.spack.versions import version_key
from tests.makers import make_hash, thorough

NAMESPACES = (None, "builtin", "site")
CANDIDATES = [
    Candidate(
        package=("hdf5", "hdf5-plugin", "py-h5py")[number % 3],
        hash=make_hash(number),
        version=("1.14.5", "1.10", "develop", "1.9rc1")[number % 4],
        compiler=("gcc@11.4.0", "gcc@12.3.0", "oneapi@2024.2.1", "none")[number % 4],
        os=("ubuntu22.04", "rhel8")[number % 2],
        platform=("linux", "darwin")[number % 5 == 0],
        target=("x86_64_v3", "zen4", "neoverse_v2", "graviton2")[number % 4],
        variants=(("+mpi", "api=v18", "fabrics=ofi,verbs"), ("~mpi", "patches:=1234567", "x='a b'"), ())[number % 3],
        namespace=NAMESPACES[number % 3],
    )
    for number in range(24)
]
MATCH = """([payload, texts]) => {
    payload.tables = Object.fromEntries(Object.entries(payload.tables).map(([name, one]) => [name, new Table(one)]));
    const data = new Warehouse(payload);
    return texts.map((text) => {
        try {
            const tests = makeSpecTests(parseSpec(text, (target) => data.runs.has(target)), data);
            return [...data.all].map((row) => tests.filter(({ test }) => !test(row))
                .map(({ axis, asked, found }) => [axis, asked, found(row)]));
        } catch (error) {
            if (!(error instanceof SpecError)) throw error;
            return null;
        }
    });
}"""


def encode_candidates():
    columns = ("package", "hash", "version", "compilers", "os", "platform", "target", "variants", "namespace")
    rows = [
        (
            *(one.package, one.hash, one.version, [one.compiler], one.os, one.platform, one.target),
            *(list(one.variants), one.namespace),
        )
        for one in CANDIDATES
    ]
    keys = {one.version: version_key(one.version) for one in CANDIDATES}
    targets = [(one.target, one.ancestor, one.distance, one.vendor) for one in list_ancestry()]
    tables = {
        "specs": encode_table(columns, rows, {"version": keys}),
        "targets": encode_table(("target", "ancestor", "distance", "vendor"), targets),
    }
    return {"tables": tables, "renamed": RENAMED}


@pytest.fixture(scope="module")
def match_in_page(browser):
    """By text the misses of each candidate in the page, None where the page refuses the text."""
    page = browser.new_page()
    page.add_script_tag(content="\n".join(read_asset(name) for name in ("versions.js", "data.js", "spec.js")))
    payload = encode_candidates()
    yield lambda texts: page.evaluate(MATCH, [payload, texts])
    page.close()


def match(text):
    try:
        query = parse_spec(text)
    except SpecSyntaxError:
        return None
    return [[list(miss) for miss in find_misses(query, candidate)] for candidate in CANDIDATES]


def without_spelling(found):
    """Misses without how versions, which the page does not spell in their shortest way, were asked for."""
    return found and [[[axis, None if axis == "version" else asked, has] for axis, asked, has in row] for row in found]


SPECS = [
    *("hdf5", "hdf5@1.14", "hdf5@=1.10", "hdf5@1.9:1.14", "@1.14:", "hdf5@develop", "hdf5@1.2,1.10:", "*", "* +mpi"),
    *("hdf5+mpi", "hdf5~mpi", "hdf5 -mpi", "hdf5-mpi", "+mpi+mpi", "hdf5 ++mpi", "hdf5 ++no", "mpi=true", "mpi=FALSE"),
    *("fabrics=ofi", "fabrics=verbs,ofi", "fabrics:=ofi", "fabrics=*", "api==v18", "x='a b'", 'x="a b"', "x='a"),
    *("patches=1234567890ab", "patches=12345", "patches:=1234567", "patches=9"),
    *("%gcc", "hdf5 %gcc@11", "%gcc@11:12.2", "%oneapi", "%intel-oneapi-compilers", "%", "%gcc+mpi", "%gcc %oneapi"),
    *("target=x86_64_v3", "target=x86_64_v3:", "target=:zen4", "target=zen4,neoverse_v2", "target=no:", "target=a:b:c"),
    *("os=rhel8", "os=rhel8 os=rhel8", "operating_system=rhel8", "platform=darwin", "arch=linux-rhel8-zen4"),
    *(
        "arch=linux-None-zen4",
        "arch=zen4",
        "os==rhel8",
        "cflags=-O3",
        "^zlib",
        "hdf5 ^zlib",
        "hdf5 zlib",
        "builtin.hdf5",
    ),
    *(
        "namespace=site",
        "site.py-h5py@1.9rc1",
        f"/{make_hash(3)[:8]}",
        "/no",
        "hdf5/abc",
        "",
        " ",
        "@",
        "hdf5@",
        "!",
        "a=",
        ":",
    ),
]


def test_the_page_reads_specs_as_the_warehouse_does(match_in_page):
    found = dict(zip(SPECS, match_in_page(SPECS), strict=True))

    for text in SPECS:
        assert without_spelling(found[text]) == without_spelling(match(text)), text
    assert [] in found["hdf5@1.14"], "some are hits"
    assert found["^zlib"] is None


parts = st.sampled_from(
    [*(text for text in SPECS if text), " ", "hdf5", "@1.10", "+mpi", " os=rhel8", " %gcc@12", "'", ","]
)


@given(st.lists(st.lists(parts, min_size=1, max_size=4).map("".join), min_size=1, max_size=12))
@thorough(20, 100)
def test_any_text_is_read_alike(match_in_page, texts):
    for text, found in zip(texts, match_in_page(texts), strict=True):
        assert without_spelling(found) == without_spelling(match(text)), text
