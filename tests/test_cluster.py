"""A build on a Dask cluster of two worker processes on this machine writes what a build without one writes."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.build import build
from pipeline.demo.corpus import generate
from pipeline.errors import WarehouseError
from pipeline.io.cluster import _call, describe_program
from pipeline.sources.buildcache import Choice
from tests.commands import list_tree, run
from tests.makers import SAMPLE
from tests.servers import serve_folder

CACHE = Path(__file__).parent / "data" / "caches" / "spack-1.1"
WORKERS = 2
STARTING = 60
"""Seconds for the scheduler and the workers to start."""


def find_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class DaskCluster:
    """A scheduler and workers, each worker under a nanny, which starts another where one is killed."""

    def __init__(self, folder):
        self.address = f"tcp://127.0.0.1:{find_port()}"
        self.folder = folder
        self.processes = []

    def start(self):
        port = self.address.rpartition(":")[2]
        self._run("dask_scheduler", "--host", "127.0.0.1", "--port", port)
        for _ in range(WORKERS):
            self._run("dask_worker", self.address, "--nthreads", "1", "--local-directory", self.folder)
        until = time.monotonic() + STARTING
        while len(self.list_workers()) < WORKERS:
            assert time.monotonic() < until, "the workers do not start"
            time.sleep(0.1)

    def _run(self, module, *options):
        command = [sys.executable, "-m", f"distributed.cli.{module}", "--no-dashboard", *map(str, options)]
        with (self.folder / f"{module}-{len(self.processes)}.log").open("w") as log:
            # Far from the folder of the tests, as workers on other machines are.
            self.processes.append(subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log))

    def list_workers(self):
        """The processes that work: each is one that its nanny spawned."""
        below = [pid for nanny in self.processes[1:] for pid in list_tree(nanny.pid)]
        return [pid for pid in below if b"spawn_main" in Path("/proc", str(pid), "cmdline").read_bytes()]

    def stop(self):
        for one in reversed(self.processes):
            one.terminate()
        for one in self.processes:
            try:
                one.wait(20)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = DaskCluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def read_parquet(warehouse):
    current = (warehouse / ".current").resolve()
    return {str(path.relative_to(current)): path.read_bytes() for path in sorted(current.rglob("*.parquet"))}


def build_there(cluster, *sources, warehouse, cwd=None):
    done = run("build", *sources, "--warehouse", warehouse, "--workers", f"dask:{cluster.address}", cwd=cwd)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return read_parquet(warehouse)


@pytest.mark.slow
@pytest.mark.parametrize("source", [SAMPLE, CACHE], ids=["pages", "indexes"])
def test_a_cluster_writes_the_same_bytes(tmp_path, cluster, source):
    build([source], tmp_path / "here", jobs=1)

    assert build_there(cluster, source, warehouse=tmp_path / "there") == read_parquet(tmp_path / "here")


@pytest.mark.slow
def test_a_remote_source_is_fetched_here_and_read_there(tmp_path, cluster):
    with serve_folder(CACHE) as url:
        choice = Choice(("develop",), ("e4s",))
        build([url], tmp_path / "here", choice=choice, cache=tmp_path / "one", jobs=1)
        source = (url, "--snapshot", "develop", "--stack", "e4s", "--cache", tmp_path / "two")

        assert build_there(cluster, *source, warehouse=tmp_path / "there") == read_parquet(tmp_path / "here")


@pytest.mark.slow
def test_paths_may_be_relative_to_where_the_build_is_begun(tmp_path, cluster):
    (tmp_path / "pages").symlink_to(SAMPLE)
    build([SAMPLE], tmp_path / "here", jobs=1)
    done = run("build", "pages", "--warehouse", "there", "--workers", f"dask:{cluster.address}", cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    found, right = read_parquet(tmp_path / "there"), read_parquet(tmp_path / "here")
    # The table sources has the name that the user wrote.
    assert {name.split("/")[0] for name in right if found[name] != right[name]} == {"sources"}


def test_a_cluster_that_cannot_be_reached_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.io.cluster.TIMEOUT", 1)
    address = f"dask:tcp://127.0.0.1:{find_port()}"
    done = run("build", SAMPLE, "--warehouse", tmp_path / "w", "--workers", address)

    assert done.returncode == 1
    assert done.stderr.startswith(f"spack-warehouse: {address}: no Dask scheduler can be reached: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "w" / "warehouse.duckdb").exists()


def test_another_server_on_the_port_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.io.cluster.TIMEOUT", 2)
    (tmp_path / "served").mkdir()
    with serve_folder(tmp_path / "served") as url:
        address = f"dask:tcp://{url.removeprefix('http://').rstrip('/')}"
        done = run("build", SAMPLE, "--warehouse", tmp_path / "w", "--workers", address)

    assert done.returncode == 1
    assert done.stderr.startswith(f"spack-warehouse: {address}: no Dask scheduler can be reached: ")
    assert done.stderr.count("\n") == 1


def test_jobs_and_workers_contradict_each_other(tmp_path):
    done = run("build", SAMPLE, "--warehouse", tmp_path / "w", "--jobs", "2", "--workers", "local:2")

    assert done.returncode == 2
    assert "--jobs and --workers both say where to work" in done.stderr


@pytest.mark.parametrize("text", ["local:0", "local:", "dask:", "dask:node1", "slurm:4", "dask:tcp://a b:1", "local:٣"])
def test_a_place_that_is_none_is_refused(tmp_path, text):
    done = run("build", SAMPLE, "--warehouse", tmp_path / "w", "--workers", text)

    assert done.returncode == 2
    assert "is neither local:N nor dask:ADDRESS" in done.stderr


def test_local_workers_are_jobs(tmp_path):
    assert run("build", SAMPLE, "--warehouse", tmp_path / "one", "--jobs", "1").returncode == 0
    assert run("build", SAMPLE, "--warehouse", tmp_path / "two", "--workers", "local:1").returncode == 0

    assert read_parquet(tmp_path / "one") == read_parquet(tmp_path / "two")


def test_a_worker_of_another_version_is_refused():
    other = tuple((name, "0.0.1" if name == "pyarrow" else version) for name, version in describe_program())

    with pytest.raises(WarehouseError, match=r"runs another version: pyarrow .* there, 0.0.1 here"):
        _call(other, len, [])


@pytest.mark.slow
def test_a_killed_worker_costs_a_retry_and_nothing_else(tmp_path, cluster):
    """At ten moments of a build of pages and indexes, drawn from one seed."""
    generate(tmp_path / "pages", snapshots=6, packages=300, specs=8, seed=1)
    sources = [tmp_path / "pages", CACHE]
    build(sources, tmp_path / "here", jobs=2)
    right = read_parquet(tmp_path / "here")
    began = time.monotonic()
    assert build_there(cluster, *sources, warehouse=tmp_path / "whole") == right
    seconds = time.monotonic() - began
    draw = random.Random(17)
    for number in range(10):
        while len(cluster.list_workers()) < WORKERS:
            time.sleep(0.1)
        killed = []

        def kill(killed=killed):
            victim = draw.choice(cluster.list_workers())
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)

        timer = threading.Timer(draw.uniform(0, seconds), kill)
        timer.start()
        assert build_there(cluster, *sources, warehouse=tmp_path / f"w{number}") == right
        timer.join()
        assert killed
