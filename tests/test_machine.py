"""What is found out of a machine, and what ``have`` makes of it."""

import json
import os
import platform
import subprocess

import archspec.cpu
import pytest

from pipeline.ask.machine import (
    Machine,
    ask_ldd,
    detect_machine,
    find_libc,
    find_libc_path,
    find_macos_release,
    find_platform,
    guess_host,
    read_ldd,
)
from pipeline.build import build
from pipeline.spack.systems import Libc, match_libc
from tests.makers import build_pages, make_hash, make_index, make_spec, write_v2
from tests.test_cli import run
from tests.test_closure import binary, edge, libc, needs


def test_this_machine_is_what_archspec_and_its_c_library_say():
    machine = detect_machine()

    assert (machine.target, machine.platform) == (archspec.cpu.host().name, find_platform())
    if machine.platform == "linux":
        assert machine.os is None
        assert machine.libc == find_libc()
        assert machine.libc.path in ("/usr", "/")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is no glibc")
def test_glibc_and_its_ldd_say_the_same():
    version = platform.libc_ver()[1]

    assert find_libc()[:2] == ("glibc", version)
    assert ask_ldd() is None or ask_ldd()[:2] == ("glibc", version)


MUSL = "musl libc (x86_64)\nVersion 1.2.4\nDynamic Program Loader\nUsage: /lib/ld-musl-x86_64.so.1 [options]\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ldd (Ubuntu GLIBC 2.35-0ubuntu3.8) 2.35\nCopyright (C) 2022 Free Software\n", Libc("glibc", "2.35")),
        ("ldd (GNU libc) 2.28\n", Libc("glibc", "2.28")),
        (MUSL, Libc("musl", "1.2.4")),
        ("ldd: unrecognized option", None),
        ("", None),
    ],
)
def test_ldd_names_the_libc(text, found):
    assert read_ldd(text) == found


def test_where_the_c_library_is_silent_ldd_is_asked(tmp_path, monkeypatch):
    ldd = tmp_path / "ldd"
    ldd.write_text("#!/bin/sh\ncat >&2 <<'END'\n" + MUSL + "END\nexit 1\n")
    ldd.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def refuse(name):
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "confstr", refuse)
    assert find_libc() == Libc("musl", "1.2.4", find_libc_path())
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert find_libc() is None
    ldd.write_text("no program")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_libc() is None


def test_the_place_of_the_libc_is_where_lib_leads(tmp_path):
    linked = tmp_path / "lib"
    linked.symlink_to("/usr/lib")

    assert find_libc_path(linked) == "/usr"
    assert find_libc_path(tmp_path) == "/"


@pytest.mark.parametrize(
    ("version", "release"),
    [("10.15.7", "catalina"), ("11.7", "bigsur"), ("14.6.1", "sonoma"), ("26.0", "tahoe"), ("99.1", None), ("", None)],
)
def test_a_release_of_macos_has_its_name(version, release, monkeypatch):
    monkeypatch.setattr(platform, "mac_ver", lambda: (version, ("", "", ""), ""))

    assert find_macos_release() == release


def test_a_machine_is_described_in_one_line():
    assert str(Machine("zen4", "linux", None, Libc("glibc", "2.35", "/usr"))) == "linux, zen4, glibc@2.35 at /usr"
    assert str(guess_host("m2", None)) == "darwin, m2"
    assert str(Machine(libc=Libc("musl", "1.2.4"))) == "musl@1.2.4"


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """Specs that need glibc 2.28 and 2.39 at /usr, one that needs none, and one of a page, which does not say."""
    folder = tmp_path_factory.mktemp("machine")
    records = [
        libc(90, "2.39"),
        libc(91, "2.28"),
        binary(1, "zlib", needs(90), compiler="gcc@=13.2.0"),
        binary(2, "zlib", needs(91), compiler="gcc@=8.5.0"),
        binary(3, "py-six", edge(4, "python", "run")),
        binary(4, "python", needs(90)),
        binary(5, "ca-certificates"),
        binary(6, "tool", compiler="apple-clang@=16", platform="darwin"),
    ]
    for record in records:
        record["spec"]["arch"]["target"] = "x86_64"
    records[-1]["spec"]["arch"]["platform_os"] = "sonoma"
    write_v2(folder / "caches" / "develop" / "e4s", make_index(records, "8"))
    build([folder / "caches"], folder / "warehouse", jobs=1)
    return folder / "warehouse"


def have(warehouse, *arguments):
    done = run("have", *arguments, "--warehouse", warehouse, "--format", "json")
    return done.returncode, [row["hash"] for row in json.loads(done.stdout or "[]")], done.stderr


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        (["zlib", "--host-libc", "2.35"], [2]),
        (["zlib", "--host-libc", "glibc@2.39"], [1, 2]),
        (["zlib", "--host-libc", "musl@1.2.4"], []),
        (["py-six", "--host-libc", "2.35"], []),  # what it runs with needs it
        (["ca-certificates", "--host-libc", "musl@1.2.4"], [5]),
        (["*", "--host", "zen2", "--host-libc", "2.28"], [2, 5]),
        (["tool", "--host-os", "sequoia"], [6]),
        (["tool", "--host-os", "ventura"], []),
        (["zlib", "--host-os", "ubuntu22.04"], [1, 2]),
        (["zlib", "--host-os", "rhel8"], []),
    ],
)
def test_a_described_machine_narrows_the_hits(warehouse, arguments, numbers):
    status, hashes, _ = have(warehouse, *arguments)

    assert sorted(hashes) == [make_hash(number) for number in numbers]
    assert status == (0 if numbers else 3)


def test_a_miss_by_libc_is_a_nearest_miss(warehouse):
    status, _, said = have(warehouse, "zlib@1.14.5 %gcc", "--host-libc", "2.17")

    assert status == 3
    assert "libc: asked glibc@2.17, has glibc@2.28 (such as zlib@1.14.5" in said
    assert "libc: asked glibc@2.17, has glibc@2.39 (such as zlib@1.14.5" in said
    assert "libc: asked musl@1.2.4, has glibc@2.28" in have(warehouse, "zlib", "--host-libc", "musl@1.2.4")[2]
    assert "os: asked ventura, has sonoma" in have(warehouse, "tool", "--host-os", "ventura")[2]


def test_here_takes_this_machine_and_what_is_given_in_place_of_its_parts(warehouse):
    machine = detect_machine()
    status, hashes, said = have(warehouse, "zlib", "--here", "--host", "zen2")
    fits = [
        make_hash(number)
        for number, version in ((1, "2.39"), (2, "2.28"))
        if match_libc(Libc("glibc", version, "/usr"), True, machine.libc) in ("ok", "unknown")
    ]

    assert said.splitlines()[0] == f"this machine: {machine._replace(target='zen2')}"
    if machine.platform == "linux":
        assert (status, sorted(hashes)) == (0 if fits else 3, fits)
    given = have(warehouse, "zlib platform=linux", "--here", "--host", "zen2", "--host-libc", "2.30")
    assert (given[0], given[1]) == (0, [make_hash(2)])
    assert "glibc@2.30" in given[2].splitlines()[0]


def test_a_libc_that_is_not_known_is_no_miss_and_said(warehouse, tmp_path):
    page = build_pages(tmp_path, {("develop", "zlib"): [make_spec(1)]})

    assert "unknown for 2 of 2 matches: --host-libc names it" in have(warehouse, "zlib", "--host", "zen2")[2]
    assert have(warehouse, "ca-certificates", "--host", "zen2")[2] == ""
    status, hashes, said = have(page, "zlib", "--host", "zen4", "--host-libc", "2.17")
    assert (status, hashes) == (0, [make_hash(1)])
    assert "unknown for 1 of 1 matches: their sources do not say what they need; compare the os" in said


@pytest.mark.parametrize("libc", ["glibc", "glibc@new", "2.35.x"])
def test_what_is_no_libc_is_wrong_usage(warehouse, libc):
    done = run("have", "zlib", "--host-libc", libc, "--warehouse", warehouse)

    assert (done.returncode, done.stdout) == (2, "")
    assert f"'{libc}' is no libc, such as 2.35, glibc@2.35 or musl@1.2.4" in " ".join(done.stderr.split())


def test_a_machine_that_hangs_in_ldd_is_no_libc(monkeypatch):
    def hang(*arguments, **options):
        raise subprocess.TimeoutExpired("ldd", options["timeout"])

    monkeypatch.setattr(subprocess, "run", hang)
    assert ask_ldd() is None
