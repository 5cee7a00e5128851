"""Which Spack reads which index: the table of Spack's versions, and what a warehouse says by it."""

import itertools
import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import build
from pipeline.spack.readers import IMAGE, V2, V3, VIEW, Readers, find_readers, join_readers, parse_series
from pipeline.specs.index import DATABASE_VERSIONS
from tests.commands import run
from tests.makers import ask, make_hash, make_index, make_page, make_record, make_spec, write_page, write_v2, write_v3
from tests.servers import serve
from tests.test_oci import write_layout

WRITTEN = {  # Spack's own table of formats: the database that each series writes
    "0.13": 5, "0.16": 5, "0.17": 6, "0.18": 6, "0.20": 6, "0.21": 7, "0.23": 7, "1.0": 8, "1.1": 8, "1.2": 8, "1.3": 9,
}  # fmt: skip
LAYOUTS = {"0.13": {V2}, "0.21": {V2, IMAGE}, "1.0": {V2, IMAGE, V3}, "1.2": {V2, IMAGE, V3, VIEW}}


@pytest.mark.parametrize("spack", WRITTEN)
@pytest.mark.parametrize("database", [5, 6, 7, 8, 9])
@pytest.mark.parametrize("layout", [V2, V3, VIEW, IMAGE])
def test_a_spack_reads_what_is_no_newer_than_itself_and_from_1_0_on_nothing_before_6(spack, database, layout):
    own = parse_series(spack)
    known = next(found for first, found in reversed(LAYOUTS.items()) if own >= parse_series(first))
    reads = database <= WRITTEN[spack] and layout in known and (own < (1, 0) or database >= 6)

    assert find_readers(str(database), layout).include(spack) is reads


def test_every_database_that_is_read_has_its_readers():
    assert all(find_readers(version, V2).oldest for version in DATABASE_VERSIONS)
    assert find_readers("10", V2) == find_readers("", "") == Readers(None, None)
    assert Readers().include("1.0") is None


@pytest.mark.parametrize(("text", "series"), [("0.22", (0, 22)), ("0.22.5", (0, 22)), ("1.10.0.1", (1, 10))])
def test_a_version_of_spack_is_of_its_series(text, series):
    assert parse_series(text) == series


@pytest.mark.parametrize("text", ["", "1", "v0.22", "0.22.", "develop", "0.x", "-1.0", "0.22 "])
def test_what_is_no_version_of_spack_is_wrong_usage(text):
    with pytest.raises(ValueError, match="is no version of Spack"):
        parse_series(text)
    assert run("have", "zlib", "--spack", text).returncode == 2


readers = st.builds(
    Readers, st.sampled_from([None, "0.13", "0.21", "1.0", "1.2"]), st.sampled_from([None, "0.23", "1.10"])
)


@given(st.lists(readers, min_size=1, max_size=4))
def test_what_reads_several_reads_each(several):
    joined = join_readers(several)
    for spack in ("0.13", "0.22.1", "0.23", "1.0", "1.9", "1.11"):
        each = [one.include(spack) for one in several]
        assert joined.include(spack) is (None if None in each else all(each))
    assert all(join_readers(some) == joined for some in itertools.permutations(several))


# What a warehouse says


def index(*numbers, version="7"):
    return make_index([make_record(make_spec(number)) for number in numbers], version)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readers")
    write_v2(folder / "caches/develop/old", index(1, version="5"))
    write_v2(folder / "caches/develop/e4s", index(2, 3))
    write_v2(folder / "caches/develop/new", index(3, 4, version="9"))
    write_v3(folder / "caches/develop/third", index(5, version="8"))
    write_v3(folder / "caches/develop", index(2, 3, 4, 5, 6, version="8"))
    write_layout(folder / "caches/develop/image", index(7))
    write_v3(folder / "views/develop", index(8, version="8"), view="gpu")
    write_page(folder, make_page([make_spec(9, stacks=["site"])], snapshot="v1.0"), "page/specs.md")
    build([folder / "caches", folder / "views", folder / "page"], folder / "w", jobs=1)
    return folder / "w"


def list_readers(warehouse):
    rows = ask(warehouse, "select stack, spack_oldest, spack_newest from sources order by stack")
    return {stack: (oldest, newest) for stack, oldest, newest in rows}


def test_sources_say_who_reads_each_index(warehouse):
    assert list_readers(warehouse) == {
        "old": ("0.13", "0.23"),
        "e4s": ("0.21", None),
        "new": ("1.3", None),
        "third": ("1.0", None),
        "root": ("1.0", None),
        "image": ("0.21", None),
        "gpu": ("1.2", None),
        None: (None, None),
    }


def find(warehouse, *arguments):
    done = run("have", "hdf5", "--warehouse", warehouse, "--format", "json", *arguments)
    rows = json.loads(done.stdout)
    assert done.returncode == (0 if rows else 3)
    return {row["hash"]: (row["stacks"], row["in_root"]) for row in rows}, done.stderr


@pytest.mark.parametrize(
    ("spack", "places"),
    [
        ("0.13", {1: ["old"]}),
        ("0.22.3", {1: ["old"], 2: ["e4s"], 3: ["e4s"], 7: ["image"]}),
        ("1.1", {2: ["e4s"], 3: ["e4s"], 4: [], 5: ["third"], 6: [], 7: ["image"]}),
        ("1.3", {2: ["e4s"], 3: ["e4s", "new"], 4: ["new"], 5: ["third"], 6: [], 7: ["image"], 8: ["gpu"]}),
    ],
)
def test_only_what_that_spack_can_read_counts(warehouse, spack, places):
    found, errors = find(warehouse, "--spack", spack, "--snapshot", "develop")
    in_root = {2, 3, 4, 5, 6} if parse_series(spack) >= (1, 0) else set()

    assert found == {make_hash(number): (stacks, number in in_root) for number, stacks in places.items()}
    assert errors == ""


def test_what_it_cannot_read_is_a_near_miss_that_says_who_can(warehouse):
    found, errors = find(warehouse, "--spack", "0.22", "--stack", "third", "--stack", "new")

    assert found == {}
    assert "nearest:\n" in errors
    assert f"  1 spec: spack: asked 0.22, has 1.0 or newer (such as hdf5@1.14.5 /{make_hash(5)[:7]}" in errors
    assert "2 specs: spack: asked 0.22, has 1.3 or newer" in errors
    _, errors = find(warehouse, "--spack", "1.0", "--stack", "old")
    assert "1 spec: spack: asked 1.0, has 0.13 to 0.23" in errors
    _, errors = find(warehouse, "target=zen4", "--spack", "0.22", "--stack", "third")
    assert "target: asked zen4, has x86_64_v3; spack: asked 0.22, has 1.0 or newer" in errors


def test_a_page_does_not_say_who_reads_its_cache(warehouse):
    found, errors = find(warehouse, "--spack", "0.22", "--snapshot", "v1.0")

    assert found == {make_hash(9): (["site"], False)}
    assert errors == (
        "whether Spack 0.22 reads the cache is unknown for 1 of 1 matches: their sources do not say what wrote it\n"
    )


def test_what_stays_of_an_earlier_build_is_read_as_before(tmp_path):
    mirror = write_v3(tmp_path / "develop/e4s", index(1, version="8"))
    other = write_v2(tmp_path / "develop/hep", index(2))
    build([tmp_path / "develop"], tmp_path / "w", jobs=1)
    write_page(mirror, "{", "v3/manifests/index/index.manifest.json")
    build([tmp_path / "develop"], tmp_path / "w", jobs=1)

    assert list_readers(tmp_path / "w") == {"e4s": ("1.0", None), "hep": ("0.21", None)}
    # And as a kept snapshot, and once the warehouse is a source of another.
    shutil.rmtree(mirror)
    write_v2(tmp_path / "later/e4s", index(3))
    build([tmp_path / "w"], tmp_path / "second", jobs=1)
    assert list_readers(tmp_path / "second") == {"e4s": ("1.0", None), "hep": ("0.21", None)}
    assert other.exists()


def test_an_index_by_url_says_it_too(tmp_path):
    write_v2(tmp_path / "bucket/develop/e4s", index(1))
    write_v3(tmp_path / "bucket/develop/hep", index(2, version="8"))
    with serve() as site:
        url = site.put_folder(tmp_path / "bucket")
        build([f"{url}/develop/e4s", f"{url}/develop/hep"], tmp_path / "w", jobs=1, cache=tmp_path / "cache")

    assert list_readers(tmp_path / "w") == {"e4s": ("0.21", None), "hep": ("1.0", None)}


def test_where_several_sources_give_one_stack_any_will_do(tmp_path):
    first = write_v3(tmp_path / "a/develop/e4s", index(1, version="8"))
    second = write_v2(tmp_path / "b/develop/e4s", index(1))
    build([first, second], tmp_path / "w", jobs=1)

    assert find(tmp_path / "w", "--spack", "0.22")[0] == {make_hash(1): (["e4s"], False)}
