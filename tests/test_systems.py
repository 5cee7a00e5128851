"""What runs on which system by its libc or its release; the table macro ``usable_on`` says the same in SQL."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.spack.systems import MACOS_RELEASES, Libc, list_releases, match_libc, parse_libc, runs_os
from tests.test_sql_cases import load

GLIBC = Libc("glibc", "2.35", "/usr")


@pytest.mark.parametrize(
    ("text", "libc"),
    [
        ("2.35", Libc("glibc", "2.35")),
        ("glibc@2.35", Libc("glibc", "2.35")),
        ("glibc@=2.35", Libc("glibc", "2.35")),
        ("musl@1.2.4", Libc("musl", "1.2.4")),
    ],
)
def test_a_libc_is_named_with_its_version(text, libc):
    assert parse_libc(text) == libc


@pytest.mark.parametrize("text", ["", "glibc", "musl@", "@2.35", "2.35-x", "2..35", "glibc@2.35@2.36", "²"])
def test_what_names_no_libc_is_refused(text):
    with pytest.raises(ValueError, match="is no libc, such as"):
        parse_libc(text)


@pytest.mark.parametrize(
    ("spec", "is_known", "host", "expected"),
    [
        (GLIBC, True, Libc("glibc", "2.35"), "ok"),
        (GLIBC, True, Libc("glibc", "2.100", "/usr"), "ok"),
        (GLIBC, True, Libc("glibc", "2.4"), "too old"),
        (GLIBC, True, Libc("glibc", "2.39", "/"), "other libc"),
        (GLIBC, True, Libc("musl", "2.39"), "other libc"),
        (GLIBC._replace(path=None), True, Libc("glibc", "2.39", "/"), "ok"),
        (GLIBC._replace(version="rawhide"), True, GLIBC, "unknown"),
        (GLIBC, True, None, "unknown"),
        (None, True, GLIBC, "none needed"),
        (None, True, None, "none needed"),
        (None, False, GLIBC, "unknown"),
    ],
)
def test_a_hosts_libc_must_be_the_same_and_no_older(spec, is_known, host, expected):
    assert match_libc(spec, is_known, host) == expected


VERSIONS = ("2.9", "2.35", "2.35.1", "2.100", "odd")
libcs = st.builds(Libc, st.sampled_from(["glibc", "musl"]), st.sampled_from(VERSIONS), st.sampled_from([None, "/usr"]))


@pytest.fixture(scope="module")
def connection():
    known = [Libc(name, version, path) for name in ("glibc", "musl") for version in VERSIONS for path in (None, "/usr")]
    rows = [
        {"hash": f"{libc} {libc.path}", "libc": str(libc), "libc_version": libc.version, "libc_path": libc.path}
        for libc in known
    ]
    with duckdb.connect() as made:
        load(made, {"spec_stacks": [{**row, "libc_known": True} for row in rows]})
        yield made


@settings(max_examples=20)
@given(libcs)
def test_sql_says_the_same(connection, host):
    query = "select spec_libc, hash, libc from usable_on('zen4', host_libc := ?, host_libc_path := ?)"
    rows = connection.execute(query, [str(host), host.path]).fetchall()

    assert len(rows) == 20
    for libc, hash, found in rows:
        path = hash.partition(" ")[2]
        spec = Libc(*libc.split("@"), None if path == "None" else path)
        assert found == match_libc(spec, True, host), (spec, host)


def test_a_newer_macos_runs_what_was_built_on_an_older_one():
    assert runs_os("sonoma", "sequoia")
    assert not runs_os("sequoia", "sonoma")
    assert runs_os("ubuntu22.04", "ubuntu22.04")
    assert not runs_os("ubuntu20.04", "ubuntu22.04")
    assert not runs_os("elcapitan", "sonoma")
    assert ("sequoia", "sonoma", 1) in list_releases()
    assert {(one.os, one.ancestor) for one in list_releases()} == {
        (host, os) for host in MACOS_RELEASES for os in MACOS_RELEASES if runs_os(os, host)
    }
