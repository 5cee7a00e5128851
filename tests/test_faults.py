"""Whatever happens to a build, the last warehouse answers, and the next build is right."""

import json
import os
import random
import resource
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest

from pipeline.build import build
from pipeline.layout import Layout
from tests import faultrun
from tests.faults import KILLS, finish, kill_at_random, processes_of, start_build, write_version
from tests.makers import ask, make_page, make_spec, parquet_bytes, rejects, write_page

ANSWER = "select count(*), min(version), max(version) from specs"
PAGES = 1200


@pytest.fixture
def source(tmp_path):
    write_version(tmp_path / "source", 1, PAGES)
    return tmp_path / "source"


def timed_build(source, warehouse):
    began = time.monotonic()
    status, _, errors = finish(start_build(source, warehouse))
    assert (status, errors) == (0, "")
    return time.monotonic() - began


def builds(warehouse):
    return sorted(folder.name for folder in (warehouse / ".builds").iterdir())


def assert_alone(session):
    """No process of a killed build outlives it."""
    deadline = time.monotonic() + 5
    while list(processes_of(session)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(processes_of(session)) == []


@pytest.mark.slow
def test_a_first_build_that_is_killed_shows_nothing_half(tmp_path, source):
    rng = random.Random(1)
    longest = timed_build(source, tmp_path / "whole")
    warehouse = tmp_path / "warehouse"
    killed = 0
    for _ in range(KILLS):
        process = start_build(source, warehouse)
        killed += kill_at_random(process, rng, longest)
        assert_alone(process.pid)
        if Layout(warehouse).database.exists():
            assert ask(warehouse, ANSWER) == [(PAGES, "1", "1")]
            shutil.rmtree(warehouse)
    timed_build(source, warehouse)

    assert killed > KILLS / 3
    assert parquet_bytes(warehouse) == parquet_bytes(tmp_path / "whole")
    assert len(builds(warehouse)) == 1


@pytest.mark.slow
def test_a_rebuild_that_is_killed_leaves_the_last_warehouse(tmp_path, source):
    rng = random.Random(2)
    warehouse = tmp_path / "warehouse"
    longest = timed_build(source, warehouse)
    before = {1}
    for version in range(2, 2 + KILLS):
        write_version(source, version, PAGES)
        process = start_build(source, warehouse)
        kill_at_random(process, rng, longest)
        assert_alone(process.pid)
        ((count, oldest, newest),) = ask(warehouse, ANSWER)
        assert count == PAGES
        assert oldest == newest, "two builds are mixed"
        before.add(version)
        assert int(newest) in before
        assert len(builds(warehouse)) <= 4
    timed_build(source, warehouse)

    assert ask(warehouse, ANSWER) == [(PAGES, str(version), str(version))]
    timed_build(source, tmp_path / "fresh")
    assert parquet_bytes(warehouse) == parquet_bytes(tmp_path / "fresh")
    assert len(builds(warehouse)) <= 2


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system can be mounted by root alone")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_last_warehouse_stays(tmp_path, small_disk):
    warehouse = small_disk / "warehouse"
    write_version(tmp_path / "source", 1, 60)
    timed_build(tmp_path / "source", warehouse)
    write_version(tmp_path / "source", 2, 60)
    for room in (0, 100_000, 500_000, 1_500_000):
        filler = small_disk / "filler"
        filler.write_bytes(b"x" * max(0, shutil.disk_usage(small_disk).free - room))
        status, out, errors = finish(start_build(tmp_path / "source", warehouse))
        if status:
            assert (status, out) == (1, "")
            assert len(errors.splitlines()) == 1, errors
            assert str(warehouse) in errors
            assert ask(warehouse, ANSWER) == [(60, "1", "1")]
            assert len(builds(warehouse)) == 1
        filler.unlink()
    timed_build(tmp_path / "source", warehouse)

    assert ask(warehouse, ANSWER) == [(60, "2", "2")]


@pytest.mark.slow
def test_a_file_that_may_not_grow_is_one_line_and_the_last_warehouse_stays(tmp_path, source):
    warehouse = tmp_path / "warehouse"
    timed_build(source, warehouse)
    write_version(source, 2, PAGES)
    for limit in (1_000, 50_000, 400_000):

        def limit_files(limit=limit):
            import signal

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        status, _, errors = finish(start_build(source, warehouse, preexec_fn=limit_files))
        assert status == 1
        assert len(errors.splitlines()) == 1, errors
        assert ask(warehouse, ANSWER) == [(PAGES, "1", "1")]


@pytest.mark.slow
def test_files_that_become_unreadable_are_rejects_and_stale_and_come_back(tmp_path):
    source, warehouse = tmp_path / "source", tmp_path / "warehouse"
    write_version(source, 1, 9)
    build([source], warehouse, jobs=1)
    page = source / "_cache/v0/p1/specs.md"
    away = tmp_path / "away"
    page.rename(away)
    page.symlink_to(page)
    summary = build([source], warehouse, jobs=1)

    assert (summary.specs, summary.rejects, summary.is_whole(strict=False)) == (9, 1, False)
    assert rejects(warehouse)[0][:2] == ("_cache/v0/p1/specs.md", "file")
    page.unlink()
    away.rename(page)
    summary = build([source], warehouse, jobs=1)
    assert (summary.specs, summary.rejects, summary.is_whole(strict=False)) == (9, 0, True)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_source_that_changes_meanwhile_is_right_after_one_more_build(tmp_path, source, jobs):
    warehouse = tmp_path / "warehouse"
    stop = threading.Event()

    def change():
        rng = random.Random(3)
        number = 0
        while not stop.is_set():
            number += 1
            page = source / f"_cache/v{rng.randrange(3)}/p{rng.randrange(400)}/specs.md"
            page.write_text(page.read_text().replace("ubuntu", f"x{number}-ubuntu", 1))
            extra = write_page(source, make_page([make_spec(90_000 + number)], f"new{number}"), f"extra/{number}")
            if number % 3 == 0:
                extra.unlink()
            time.sleep(0.002)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(3):
            status, _, errors = finish(start_build(source, warehouse, "--jobs", jobs))
            # A page that is read while it is written is empty, and stays as it was: stale.
            assert status in (0, 1, 3), errors
            assert status != 3 or "stale: " in errors, errors
            assert "Traceback" not in errors
    finally:
        stop.set()
        changing.join()
    build([source], warehouse, jobs=1)
    build([source], tmp_path / "fresh", jobs=1)

    assert parquet_bytes(warehouse) == parquet_bytes(tmp_path / "fresh")


@pytest.mark.slow
def test_two_builds_at_once_wait_for_each_other(tmp_path, source):
    warehouse = tmp_path / "warehouse"
    both = [start_build(source, warehouse) for _ in range(2)]
    done = [finish(process) for process in both]

    assert [status for status, _, _ in done] == [0, 0]
    waited = [errors for _, _, errors in done if errors]
    assert len(waited) == 1
    assert "another build is running; waiting" in waited[0]
    assert len(waited[0].splitlines()) == 1
    assert ask(warehouse, ANSWER) == [(PAGES, "1", "1")]


@pytest.mark.slow
def test_readers_see_one_build_or_the_next_and_never_fail(tmp_path):
    source, warehouse = tmp_path / "source", tmp_path / "warehouse"
    write_version(source, 1, 30)
    build([source], warehouse, jobs=1)
    published = [1]
    problems = []
    stop = threading.Event()

    def read():
        while not stop.is_set():
            oldest = published[-1]
            try:
                with duckdb.connect() as connection:
                    database = Layout(warehouse).database
                    connection.execute(f"attach '{database}' as w (read_only)")
                    ((count, first, last),) = connection.execute(ANSWER.replace("specs", "w.specs")).fetchall()
                    if count != 30 or first != last or int(first) < oldest:
                        problems.append((count, first, last, oldest))
            except duckdb.Error as error:
                problems.append(error)

    opened = duckdb.connect(str(Layout(warehouse).database), read_only=True)
    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for version in range(2, 12):
            write_version(source, version, 30)
            build([source], warehouse, jobs=1)
            published.append(version)
            assert opened.execute(ANSWER).fetchall() == [(30, "1", "1")], "an open shell goes on with its own"
    finally:
        stop.set()
        for reader in readers:
            reader.join()
        opened.close()

    assert problems == []
    assert len(builds(warehouse)) == 2


@pytest.mark.slow
def test_many_small_rebuilds_do_not_grow_the_database(tmp_path):
    source, warehouse = tmp_path / "source", tmp_path / "warehouse"
    write_version(source, 1, 120, snapshots=6)
    build([source], warehouse, jobs=1)
    first = Layout(warehouse).database.stat().st_size
    for version in range(2, 12):
        write_version(source, version, 20, snapshots=1)
        build([source], warehouse, jobs=1)

    assert Layout(warehouse).database.stat().st_size < 3 * first


def test_a_warehouse_of_an_older_layout_is_built_anew(tmp_path):
    source, warehouse = tmp_path / "source", tmp_path / "warehouse"
    write_version(source, 1, 6)
    build([source], warehouse, jobs=1)
    database = Layout(warehouse).current.database
    database.unlink()
    with duckdb.connect(str(database)) as connection:
        connection.execute("create table specs (hash varchar)")

    assert build([source], warehouse, jobs=1).rebuilt == 3
    assert ask(warehouse, ANSWER) == [(6, "1", "1")]


def test_links_may_not_lead_elsewhere_for_a_build_to_succeed(tmp_path):
    source, warehouse = tmp_path / "source", tmp_path / "warehouse"
    write_version(source, 1, 6)
    build([source], warehouse, jobs=1)
    (warehouse / "warehouse.duckdb").unlink()
    Path(warehouse / ".current").unlink()
    os.symlink("nowhere", warehouse / ".current")
    build([source], warehouse, jobs=1)

    assert ask(warehouse, ANSWER) == [(6, "1", "1")]


STRIDES = {"build": 4, "report": 12, "run": 16}
"""Every so many calls of the build in each of as many processes, which is all of them; of others, so many less."""
SEED = int(os.environ.get("FAULT_SEED", "1"))
"""From which call on; another one has those fail that did not yet."""


@pytest.fixture(scope="module")
def prepared(build_once):
    return build_once("faultrun", faultrun.prepare)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "first"), [*(("build", first) for first in range(1, 5)), ("report", SEED), ("run", SEED)]
)
def test_whichever_system_call_fails_the_warehouse_answers_and_the_next_time_is_right(
    tmp_path, prepared, faults, command, first
):
    folder = shutil.copytree(prepared, tmp_path / "prepared", symlinks=True)
    arguments = [sys.executable, "-m", "tests.faultrun", folder, command, STRIDES[command], first]
    environment = {**os.environ, "LD_PRELOAD": str(faults)}
    done = subprocess.run(
        [str(one) for one in arguments], env=environment, capture_output=True, text=True, timeout=1200, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    *wrong, last = map(json.loads, done.stdout.splitlines())

    assert wrong == []
    assert last["failed"] >= last["calls"] // STRIDES[command] * 0.9
