"""What a source is that gave nothing is said in plain words."""

import json

import pytest

from pipeline.sources.files import Entry, Source, find_sources, scan
from pipeline.sources.kinds import explain_empty, explain_no_json, is_html, is_install_database
from tests.commands import run
from tests.makers import make_record, make_spec, write_page, write_v2
from tests.test_buildcache import ONE

INSTALLED = "is an install database and no build cache"


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        ([], "is an empty folder"),
        (["README"], "is a folder without page, index and listing; in it are README"),
        (["a\x1b[31m"], "is a folder without page, index and listing; in it are 'a\\x1b[31m'"),
        (["b/z", "a/y", "c/x"], "is a folder without page, index and listing; in it are x and 2 more"),
        (["build_cache/x.spec.json"], "is a build cache, but no index is in it"),
        (["e4s/v3/manifests/spec/x/x.spec.manifest.json"], "is a build cache, but no index is in it"),
        (["blobs/sha256/aa/aaa"], "is a build cache, but no index is in it"),
        (["opt/.spack-db/index.json", "opt/bin/x"], INSTALLED),
        (["_source-cache/archive/b2/x.tar.gz"], "is a source mirror, which holds sources and no binaries"),
        (["oci-layout", "index.json", "blobs/sha256/aaa"], "none of its build caches was chosen"),
        (["develop/e4s/build_cache/index.json"], "none of its build caches was chosen"),
        (["v3/manifests/index/a/b/index.manifest.json"], "none of its build caches was chosen"),
    ],
)
def test_a_folder_that_gave_nothing(paths, reason):
    assert explain_empty(Source("/s"), [Entry(0, path, b"") for path in paths]).startswith(reason)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (Source("/s", "x.txt"), "is neither a page nor an index, and no listing"),
        (Source("/opt/.spack-db", "index.json"), INSTALLED),
        (Source("https://h/cache_spack_io_index.json"), "lists no build cache that was chosen"),
    ],
)
def test_a_file_or_url_that_gave_nothing(source, reason):
    entries = [Entry(0, source.only, b"")] if source.only else []
    assert explain_empty(source, entries).startswith(reason)


def test_a_real_folder(tmp_path):
    write_page(tmp_path, "x", "src/_source-cache/archive/x.tar.gz")
    (source,) = find_sources([tmp_path])

    assert explain_empty(source, scan([source])) == "is a source mirror, which holds sources and no binaries"


def install_database():
    record = make_record(make_spec(1))
    del record["in_buildcache"]
    record |= {"installed": False, "path": None, "explicit": True, "installation_time": 1.0, "deprecated_for": None}
    return json.dumps({"database": {"version": "7", "installs": {record["spec"]["hash"]: record}}})


@pytest.mark.parametrize("named", ["opt/.spack-db/index.json", "opt/.spack-db", "opt", "."])
def test_an_install_database_is_named_wherever_it_is(tmp_path, named):
    write_page(tmp_path, install_database(), "opt/.spack-db/index.json")
    done = run("build", tmp_path / named, "--warehouse", tmp_path.parent / f"{tmp_path.name}-w", "--jobs", 1)

    assert done.returncode == 1
    assert done.stderr == (
        f"spack-warehouse: no cache page and no build-cache index was found: {tmp_path / named}: {INSTALLED}\n"
    )


def test_an_install_database_in_the_place_of_an_index_is_a_reject(tmp_path):
    write_v2(tmp_path / "s" / "develop" / "e4s", install_database().encode())
    write_v2(tmp_path / "s" / "develop" / "hep", ONE)
    done = run("build", tmp_path / "s", "--warehouse", tmp_path / "w", "--jobs", 1)

    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        f"failed: {tmp_path}/s: develop/e4s: {INSTALLED}",
        f"rejected: develop/e4s/build_cache/index.json: database: {INSTALLED}",
    ]


@pytest.mark.parametrize("url", ["file://{}/a%20b", "file://localhost{}/a%20b"])
def test_a_file_url_is_a_path(tmp_path, url):
    write_v2(tmp_path / "a b" / "develop" / "e4s", ONE)
    text = url.format(tmp_path)
    file = write_page(tmp_path, f"sources: [{{url: '{text}'}}]", "s.yaml")
    for source in (text, file):
        assert run("build", source, "--warehouse", tmp_path / "w", "--jobs", 1).returncode == 0

    missing = run("build", f"file://{tmp_path}/none", "--warehouse", tmp_path / "w")
    assert (missing.returncode, missing.stderr) == (
        1,
        f"spack-warehouse: {tmp_path}/none: no such file or folder\n",
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xef\xbb\xbf <!DOCTYPE html>", "is an HTML page (a login page?)"),
        (b"<!-- x -->\n<HTML lang=en>", "is an HTML page (a login page?)"),
        (b"<htmlx>", "is no JSON: why"),
        (b"{", "is no JSON: why"),
    ],
)
def test_why_it_is_no_json(data, expected):
    assert explain_no_json(data, "why") == expected


def test_a_comment_without_end_is_soon_seen_to_be_no_html():
    assert not is_html(b"<!--" * 10_000)


@pytest.mark.parametrize(("path", "expected"), [("/a/.spack-db/index.json", True), ("/a/index.json", False)])
def test_where_an_install_database_is(path, expected):
    assert is_install_database(path) == expected
