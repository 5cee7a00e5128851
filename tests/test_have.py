"""What a warehouse has of a spec, held to trying every spec of it; and what is said where it has none."""

import csv
import io
import json
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.ask.have import find_nearest, find_specs, load_specs, miss_host
from pipeline.ask.machine import guess_host
from pipeline.ask.scope import choose_snapshots
from pipeline.build import build
from pipeline.errors import suggest_names
from pipeline.layout import Layout
from pipeline.spack.hosts import runs_on
from pipeline.spack.spec import Candidate, find_misses, parse_spec
from pipeline.store.database import open_database
from pipeline.terminal.shape import Shape
from pipeline.terminal.tables import print_rows
from tests.makers import (
    binary,
    build_pages,
    edge,
    libc,
    make_hash,
    make_index,
    make_record,
    make_spec,
    needs,
    write_pages,
    write_v2,
)
from tests.test_cli import assert_refused, run

HDF5 = [
    make_spec(1, versions=["1.14.5"], compiler="gcc@11.4.0", target="x86_64_v3", stacks=["e4s", "root"]),
    make_spec(2, versions=["1.14.10"], compiler="gcc@12.3.0", target="x86_64_v4", stacks=["aws", "root"]),
    make_spec(3, versions=["1.12.3"], compiler="oneapi@2024.2.1", target="zen4", variants=["~mpi", "api=v18"]),
    make_spec(4, versions=["1.14.5"], compiler="clang@18.1.8", target="neoverse_v1", stacks=["e4s-arm", "root"]),
    make_spec(5, versions=["1.14.5"], compiler="apple-clang@16", target="m1", platform="darwin", stacks=["mac"]),
    make_spec(6, versions=["1.14.5"], target="graviton2", variants=["fabrics=ofi,verbs", "+mpi"], stacks=["root"]),
]
PAGES = {
    ("develop", "hdf5"): HDF5,
    ("develop-2025-03-16", "hdf5"): [HDF5[0], make_spec(7, versions=["1.10.1"], stacks=["old"])],
    ("develop-2025-03-30", "hdf5"): HDF5[:3],
    ("v0.23.1", "hdf5"): [make_spec(8, versions=["1.8.23"])],
    ("develop", "py-numpy"): [make_spec(9, compiler="none", versions=["2.0rc1"], variants=["+mpi"])],
    ("v0.23.1", "zlib"): [make_spec(10, stacks=["e4s"])],
}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    return build_pages(tmp_path_factory.mktemp("have"), PAGES)


@pytest.fixture(scope="module")
def connection(warehouse):
    with open_database(Layout(warehouse)) as connection:
        yield connection


def have(warehouse, *arguments):
    return run("have", *arguments, "--warehouse", warehouse)


def list_hits(warehouse, *arguments):
    """(snapshot, hash) of each match, as the command's JSON gives them."""
    done = have(warehouse, *arguments, "--format", "json")
    assert done.returncode == (0 if json.loads(done.stdout) else 3)
    return [(row["snapshot"], row["hash"]) for row in json.loads(done.stdout)]


def test_hits_come_by_snapshot_and_then_the_newest_version_first(warehouse):
    assert list_hits(warehouse, "hdf5@1.14: +mpi %gcc") == [
        ("develop", make_hash(2)),
        ("develop", make_hash(1)),
        ("develop", make_hash(6)),
        ("develop-2025-03-30", make_hash(2)),
        ("develop-2025-03-30", make_hash(1)),
        ("develop-2025-03-16", make_hash(1)),
    ]


def test_a_hit_says_all_that_a_user_needs(warehouse):
    done = have(warehouse, "hdf5@1.14.10", "--snapshot", "develop", "--format", "json")

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [
        {
            "hash": make_hash(2),
            "package": "hdf5",
            "version": "1.14.10",
            "compiler": "gcc@12.3.0",
            "platform": "linux",
            "os": "ubuntu22.04",
            "target": "x86_64_v4",
            "snapshot": "develop",
            "stacks": ["aws"],
            "in_root": True,
            "variants": ["build_system=cmake", "+mpi", "~cuda"],
            "libc": None,
            "installable": None,
            "namespace": None,
        }
    ]


def test_a_table_shows_the_namespace_where_several_match(tmp_path, warehouse):
    records = [make_record(make_spec(1)), make_record(make_spec(2), namespace="site")]
    write_v2(tmp_path / "source/develop/e4s", make_index(records))
    build([tmp_path / "source"], tmp_path / "warehouse", jobs=1)

    assert "namespace" not in have(warehouse, "hdf5").stdout
    assert "namespace: site" in have(tmp_path / "warehouse", "site.hdf5").stdout
    shown = have(tmp_path / "warehouse", "hdf5").stdout
    assert all(text in shown for text in ("namespace", "  builtin\n", "  site\n"))


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        (["hdf5 target=zen4", "--snapshot", "develop"], [3]),
        (["hdf5", "--host", "zen4", "--snapshot", "develop"], [3, 2, 1]),
        (["hdf5", "--host", "zen3", "--snapshot", "develop"], [1]),
        (["hdf5", "--host", "neoverse_v2", "--snapshot", "develop"], []),
        (["hdf5", "--host", "neoverse_v1", "--snapshot", "develop"], [4]),
        (["hdf5", "--host", "m2", "--snapshot", "develop"], [5]),
        (["hdf5 platform=linux", "--host", "m2", "--snapshot", "develop"], []),
        (["hdf5", "--stack", "e4s*", "--snapshot", "develop"], [4, 1, 3]),
        (["hdf5", "--stack", "old"], [7]),
        (["hdf5", "fabrics=verbs"], [6]),
        ([f"/{make_hash(10)}"], [10]),
    ],
)
def test_options_narrow_the_hits(warehouse, arguments, numbers):
    found = list_hits(warehouse, *arguments)

    assert [hash for _, hash in found] == [make_hash(number) for number in numbers]


def test_a_machine_without_a_libc_is_reported(warehouse):
    done = have(warehouse, "hdf5", "--host", "zen4")

    assert done.returncode == 0
    assert "libc" in done.stderr
    assert "unknown" in done.stderr


def test_without_a_hit_each_near_miss_names_what_failed(warehouse):
    done = have(warehouse, "hdf5@1.14: +mpi target=zen4 %gcc", "--snapshot", "develop")

    assert (done.returncode, done.stdout) == (3, "")
    lines = done.stderr.splitlines()
    assert lines[0] == "none of the 6 specs of hdf5 in develop is hdf5@1.14: +mpi target=zen4 %gcc; nearest:"
    assert len(lines) == 6
    first = sorted(lines[1:4])
    assert first[0].startswith("  1 spec: target: asked zen4, has graviton2 (such as hdf5@1.14.5 /")
    assert first[1].endswith(" of develop in e4s)")
    assert "target: asked zen4, has x86_64_v4 (such as hdf5@1.14.10" in first[2]
    assert any("compiler: asked %gcc, has clang@18.1.8; target: asked zen4, has neoverse_v1" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        (["hdf5@1.10", "--snapshot", "develop"], f"develop-2025-03-16: hdf5@1.10.1 /{make_hash(7)[:7]} in old"),
        (["hdf5@1.12", "--snapshot", "develop", "--stack", "mac"], None),
        (["@1.10.1", "--snapshot", "develop"], f"develop-2025-03-16: hdf5@1.10.1 /{make_hash(7)[:7]} in old"),
        # Another series is no earlier, nor is a later snapshot; and what this host cannot run is no match.
        (["hdf5@1.8", "--snapshot", "develop"], None),
        (["hdf5@1.12", "--snapshot", "develop-2025-03-16"], None),
        (["hdf5@1.10", "--snapshot", "develop", "--host", "m1"], None),
        (["hdf5@1.10", "--host", "m1"], None),
    ],
)
def test_without_a_hit_the_newest_earlier_one_is_said(warehouse, arguments, seen):
    done = have(warehouse, *arguments)
    found = [line for line in done.stderr.splitlines() if line.startswith("last seen")]

    assert done.returncode == 3
    assert found == ([f"last seen in {seen}"] if seen else [])


def test_an_unknown_target_is_no_hit_for_a_host_but_listed_as_unresolved(warehouse):
    done = have(warehouse, "hdf5 fabrics=ofi", "--host", "neoverse_v1")

    assert done.returncode == 3
    assert "host: asked neoverse_v1, has graviton2, unresolved: archspec does not know it" in done.stderr


def test_without_a_hit_data_is_empty(warehouse):
    assert have(warehouse, "hdf5@9", "--format", "json").stdout == "[]\n"
    assert have(warehouse, "hdf5@9", "--format", "csv").stdout.startswith("hash,package,version,")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["numpy"], "no package 'numpy' in the warehouse; did you mean py-numpy?"),
        (["hdf"], "no package 'hdf' in the warehouse; did you mean hdf5?"),
        (["qqqqqq"], "no package 'qqqqqq' in the warehouse"),
        (["zlib", "--snapshot", "develop"], "no spec of zlib in develop; there are some in v0.23.1"),
        (
            ["hdf5", "--stack", "old", "--stack", "mac", "--snapshot", "develop-2025-03-16", "--snapshot", "develop"],
            None,
        ),
        (
            ["zlib", "--stack", "mac"],
            "no spec of zlib in mac of any of 4 snapshots; there are some in stacks e4s of v0.23.1",
        ),
        (["hdf5/zz"], "no spec of hdf5 in any of 4 snapshots has a hash that begins with zz"),
        (["/zz"], "no spec in any of 4 snapshots is /zz"),
    ],
)
def test_what_is_nowhere_is_said_in_one_line(warehouse, arguments, line):
    done = have(warehouse, *arguments)

    assert done.returncode == (3 if line else 0)
    if line:
        assert done.stderr.splitlines() == [line]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("hdf5 target=x86_64_v33", "no target 'x86_64_v33' in the warehouse; did you mean x86_64_v3 or x86_64_v4?"),
        ("hdf5 target=zen5", "no target 'zen5' in the warehouse; --host zen5 takes all that one can run"),
        ("hdf5 target=zen5 --host zen3", None),
        ("hdf5@9 %gccc", "no compiler 'gccc' in the warehouse; did you mean gcc?"),
        ("hdf5 %lang", "no compiler 'lang' in the warehouse; did you mean clang?"),
        ("hdf5 %llvm@1", None),
        ("hdf5 %oneapy", "no compiler 'oneapy' in the warehouse; did you mean oneapi or none?"),
        ("hdf5 %c=zz", "no compiler 'zz' in the warehouse; there are: apple-clang, clang, gcc, none, oneapi"),
        ("hdf5 os=ubuntu2204", "no os 'ubuntu2204' in the warehouse; did you mean ubuntu22.04?"),
        ("hdf5 --host-os ubuntu2204", "no os 'ubuntu2204' in the warehouse; did you mean ubuntu22.04?"),
        ("hdf5 --host-os sequoia", None),
        ("hdf5 platform=linx", "no platform 'linx' in the warehouse; did you mean linux?"),
        ("hdf5 +mpii", "no variant 'mpii' of hdf5 in the warehouse; did you mean mpi?"),
        ("hdf5@9 +mpii --snapshot develop", "no variant 'mpii' of hdf5 in the warehouse; did you mean mpi?"),
        ("hdf5@9 ++mpii", None),
        ("hdf5 targe=zen4", "no variant 'targe' of hdf5 in the warehouse; did you mean target?"),
        ("hdf5 api=v118", "no value 'v118' of api of hdf5 in the warehouse; did you mean v18?"),
        ("hdf5 fabrics=ofi,verb", "no value 'verb' of fabrics of hdf5 in the warehouse; did you mean verbs?"),
        ("hdf5 mpi=on", "no value 'on' of mpi of hdf5 in the warehouse; there are: False, True"),
        ("hdf5 +cuda", None),
        ("+mpii", "no variant 'mpii' in the warehouse; did you mean mpi?"),
        ("hdff5 +mpii", "no package 'hdff5' in the warehouse; did you mean hdf5?"),
        ("zlib --snapshot develop", None),
        ("builtn.hdf5@9", None),
    ],
)
def test_of_a_name_that_no_snapshot_has_the_nearest_are_suggested(warehouse, arguments, line):
    done = have(warehouse, *arguments.split())
    assert done.returncode == 3
    found = [said for said in done.stderr.splitlines() if said.startswith("no ") and " in the warehouse; " in said]
    assert found == ([line] if line else [])


def test_what_only_indexes_know_is_suggested_too(tmp_path):
    """Namespaces, libcs and the compilers of each language are of indexes alone."""
    records = [binary(1, "a", needs(90), namespace="fnal_art"), libc(90)]
    write_v2(tmp_path / "s" / "develop" / "e4s", make_index(records))
    build([tmp_path / "s"], tmp_path / "w", jobs=1)

    for asked, line in {
        "fnal_arts.a": "no namespace 'fnal_arts' in the warehouse; did you mean fnal_art?",
        "a --host-libc glbc@2.35": "no libc 'glbc' in the warehouse; did you mean glibc?",
    }.items():
        assert have(tmp_path / "w", *asked.split()).stderr.splitlines()[-1] == line


@pytest.mark.parametrize(
    ("text", "caret", "word"),
    [
        ("hdf5@", 4, "version"),
        ("hdf5 ^zlib", 5, "dependencies"),
        ("hdf5 %gcc +mpi", 10, "put it before '%gcc'"),
        ("hdf5 zlib", 5, "second spec"),
        ("hdf5 target=:zen44", 12, "did you mean zen4, zen or zen6?"),
    ],
)
def test_bad_syntax_gets_a_caret(warehouse, text, caret, word):
    done = have(warehouse, text)

    assert (done.returncode, done.stdout) == (2, "")
    spec, below = done.stderr.splitlines()
    assert spec == text
    assert below.index("^") == caret
    assert word in below


def test_what_is_not_in_the_warehouse_is_refused(warehouse, tmp_path):
    assert_refused(have(warehouse, "hdf5", "--snapshot", "v9"), 1, "'v9'", "develop-2025-03-30")
    assert_refused(have(warehouse, "hdf5", "--stack", "e5*"), 1, "'e5*'", "e4s-arm")
    assert_refused(have(tmp_path / "w", "hdf5"), 1, "spack-warehouse build")
    assert have(warehouse).returncode == 2
    unknown = have(warehouse, "hdf5", "--host", "zen44")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "did you mean zen4" in unknown.stderr


def test_a_table_is_cut_and_says_so(warehouse):
    done = have(warehouse, "hdf5", "--limit", "2")
    assert done.stderr == "the first 2 of 12 rows; all: --limit 0\n"
    assert len(done.stdout.partition("───\n")[2].splitlines()) == 2
    assert len(have(warehouse, "hdf5", "--limit", "0").stdout.partition("───\n")[2].splitlines()) == 12
    assert len(list_hits(warehouse, "hdf5")) == 12


def test_csv_holds_no_formula(warehouse):
    text = have(warehouse, "py-numpy", "--format", "csv").stdout
    (row,) = csv.DictReader(io.StringIO(text))

    assert row["in_root"] == "true"
    assert json.loads(row["variants"]) == ["+mpi"]
    assert all(cell[:1] not in ("=", "+", "-", "@") for cell in row.values())


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("csv", """'+a,b\n'=1+1,\n"[""+x""]",3\n"""),
        ("json", '[\n{"+a":"=1+1","b":null},\n{"+a":["+x"],"b":3}\n]\n'),
    ],
)
def test_rows_are_written_exactly(capfdbinary, format, text):
    print_rows([("+a", "VARCHAR"), ("b", "BIGINT")], [("=1+1", None), (["+x"], 3)], Shape(format), {})

    sys.stdout.flush()
    assert capfdbinary.readouterr().out.decode() == text


def test_names_are_suggested_by_what_they_end_on_and_by_spelling():
    names = ["py-numpy", "numpy-stl", "hdf5", "py-h5py"]

    assert suggest_names("numpy", names)[0] == "py-numpy"
    assert suggest_names("py_numpy", names)[0] == "py-numpy"
    assert suggest_names("hfd5", names) == ["hdf5"]
    assert suggest_names("qqq", names) == []
    assert suggest_names("x86-64-v3", ["x86_64", "x86_64_v3", "x86_64_v4"]) == ["x86_64_v3"]
    assert suggest_names("x86_64_v33", ["zen4", "x86_64_v3"]) == ["x86_64_v3"]


# The law: what the warehouse is found to have is what trying every one of its specs finds.

parts = st.fixed_dictionaries(
    {},
    optional={
        "package": st.sampled_from(["hdf5", "py-numpy", "zlib"]),
        "version": st.sampled_from(["@1.14", "@1.14.5:", "@:1.12", "@=1.14.5", "@2.0rc1"]),
        "variants": st.sampled_from(["+mpi", "~mpi", "++mpi", "api=v18", "fabrics=verbs", "fabrics:=verbs"]),
        "place": st.sampled_from(["target=zen4", "target=x86_64:", "os=ubuntu22.04", "platform=darwin"]),
        "hash": st.sampled_from(["/" + make_hash(3)[:31], "/a", "/zz"]),
        "compiler": st.sampled_from(["%gcc", "%gcc@11", "%intel-oneapi-compilers", "%none", "%llvm"]),
    },
).map(
    lambda parts: (parts.get("package") or "*") + "".join(f" {parts[key]}" for key in sorted(parts) if key != "package")
)
places = st.lists(st.sampled_from(sorted({snapshot for snapshot, _ in PAGES})), unique=True, max_size=2)


def reorder(text):
    """The compiler goes last: what follows it would be asked of it."""
    words = text.split(" ")
    return " ".join(sorted(words, key=lambda word: (word != words[0], word.startswith("%"))))


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts.map(reorder),
    places,
    st.sampled_from([(), ("e4s",), ("old", "mac")]),
    st.none() | st.sampled_from(["zen4", "m1"]),
)
def test_hits_are_those_of_trying_every_spec(connection, text, names, stacks, target):
    query = parse_spec(text)
    host = guess_host(target, query.platform) if target else None
    snapshots = choose_snapshots(connection, names, str)

    answer = find_specs(connection, query, snapshots, stacks, host)

    expected = set()
    for (snapshot, package), specs in PAGES.items():
        for spec in specs:
            candidate = Candidate(
                package,
                spec["hash"],
                spec["versions"][0],
                spec["compiler"].replace("@=", "@"),
                spec["os"],
                spec["platform"],
                spec["target"],
                tuple(spec["variants"]),
            )
            usable = host is None or (
                runs_on(spec["target"], host.target) and spec["platform"] == (query.platform or host.platform)
            )
            if (
                snapshot in (names or [snapshot])
                and (not stacks or set(stacks) & set(spec["stacks"]))
                and not find_misses(query, candidate)
                and usable
            ):
                expected.add((snapshot, spec["hash"]))
    assert {(hit.snapshot, hit.spec.hash) for hit in answer.hits} == expected
    assert len(answer.hits) == len(expected)
    order = [snapshots.index(hit.snapshot) for hit in answer.hits]
    assert order == sorted(order)
    if expected:
        assert answer.nearest == []
    for near in answer.nearest:
        assert near.misses == tuple(miss_host(query, near.example.spec, host))
        assert near.misses


def test_nearest_are_grouped_whole(connection):
    query = parse_spec("hdf5@3 +mpi")
    snapshots = choose_snapshots(connection, [], str)
    held = load_specs(connection, snapshots, query=query)
    rank = {snapshot: place for place, snapshot in enumerate(snapshots)}

    groups = find_nearest(query, held, rank, count=100)

    assert sum(group.specs for group in groups) == len({one.spec.hash for one in held})
    assert [len(group.misses) for group in groups] == sorted(len(group.misses) for group in groups)


def test_what_an_index_says_of_languages_and_namespaces_counts(tmp_path):
    """What build-cache indexes say and pages do not: a compiler to a language, and the repository of the package."""
    nodes = [
        make_record(make_spec(90, versions=["18.1.8"]), "llvm", in_buildcache=False),
        make_record(make_spec(91, versions=["13.2.0"]), "gcc", in_buildcache=False),
    ]
    edges = [
        {"name": name, "hash": make_hash(number), "parameters": {"deptypes": ["build"], "virtuals": [language]}}
        for name, number, language in (("llvm", 90, "c"), ("gcc", 91, "fortran"))
    ]
    record = make_record(make_spec(1), dependencies=edges)
    del record["spec"]["annotations"]
    write_v2(tmp_path / "caches" / "develop" / "e4s", make_index([record, *nodes], "8"))
    write_pages(tmp_path / "pages", {("develop", "hdf5"): [make_spec(2)]})
    build([tmp_path / "caches", tmp_path / "pages"], tmp_path / "warehouse", jobs=1)
    with open_database(Layout(tmp_path / "warehouse")) as connection:

        def find(text):
            answer = find_specs(connection, parse_spec(text), ["develop"])
            return [hit.spec.hash for hit in answer.hits]

        for package in ("hdf5", "*"):
            assert find(f"{package} %fortran=gcc@13") == [make_hash(1)]
            assert find(f"{package} %c=gcc") == [make_hash(2)]
            assert find(f"{package} %gcc") == [make_hash(2), make_hash(1)]
            assert find(f"{package} %fortran=llvm") == []
        assert find("builtin.hdf5") == [make_hash(2), make_hash(1)]
        assert find("other.hdf5") == [make_hash(2)]


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    """A warehouse of two stacks and a page: a installs from hep, and from e4s b is missing."""
    folder = tmp_path_factory.mktemp("caches")
    above = binary(1, "a", edge(2, "b"))
    write_v2(
        folder / "source/develop/e4s",
        make_index([above, binary(2, "b", in_buildcache=False), binary(3, "c", edge(1, "a"))]),
    )
    write_v2(folder / "source/develop/hep", make_index([above, binary(2, "b")]))
    write_pages(folder / "source", {("v1.0", "a"): [make_spec(4)]})
    build([folder / "source"], folder / "warehouse", jobs=1)
    return folder / "warehouse"


def test_cache_only_takes_what_installs_without_building(caches):
    assert list_hits(caches, "a") == [("develop", make_hash(1)), ("v1.0", make_hash(4))]
    assert list_hits(caches, "a", "--cache-only") == [("develop", make_hash(1))]
    assert list_hits(caches, "a", "--cache-only", "--stack", "hep") == [("develop", make_hash(1))]
    assert list_hits(caches, "/" + make_hash(2), "--cache-only") == [("develop", make_hash(2))]


def test_what_does_not_install_without_building_is_a_miss_with_what_is_missing(caches):
    done = have(caches, "a", "--cache-only", "--stack", "e4s", "--snapshot", "develop")
    assert (done.returncode, done.stderr.splitlines()) == (
        3,
        [
            "none of the 1 specs of a in e4s of develop is a; nearest:",
            "  1 spec: installable: asked true, has false (such as a@1.14.5 /aaaaaaa of develop in e4s, hep)",
            "  missing in e4s for a /aaaaaaa: b /aaaaaaa (hole)",
        ],
    )
    done = have(caches, "a", "--cache-only", "--snapshot", "v1.0")
    assert done.returncode == 3
    assert "installable: asked true, has unknown" in done.stderr
    assert "missing in" not in done.stderr


def test_a_table_says_what_is_installable_where_a_source_does(caches):
    assert "installable" in have(caches, "a").stdout
    assert "installable" not in have(caches, "a", "--snapshot", "v1.0").stdout
    rows = json.loads(have(caches, "a", "--stack", "e4s", "--format", "json").stdout)
    assert [row["installable"] for row in rows] == [False, None]
    rows = json.loads(have(caches, "a", "--format", "json").stdout)
    assert [row["installable"] for row in rows] == [True, None]
