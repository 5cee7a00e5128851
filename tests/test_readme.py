"""The README is true: its answers, its dictionary, its commands."""

import json
import re
import shlex
import shutil

import pytest

from pipeline.cli import cli
from tests.commands import run
from tests.makers import ask, make_index, make_record, make_spec, write_v2, write_v3
from tests.readme import ANSWER, PAGES, README, ROOT, STEPS, render_readme
from tests.test_closure import edge


def test_answers_and_dictionary_are_current(sample):
    text = README.read_text()

    assert render_readme(text, sample) == text, "the README is old: run `make readme`"


def test_it_answers_ten_questions():
    assert len(ANSWER.findall(README.read_text())) >= 10


def test_it_documents_every_command():
    documented = set(re.findall(r"spack-warehouse ([a-z]+)", README.read_text()))

    assert set(cli.commands) <= documented


def test_it_documents_every_make_target():
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    documented = set(re.findall(r"make ([a-z-]+)", README.read_text()))

    assert set(targets) <= documented


@pytest.fixture(scope="module")
def chapter():
    (text,) = re.findall(r"^## Scheduled reports\n(.*?)^## ", README.read_text(), re.MULTILINE | re.DOTALL)
    return text


def read_blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def mask(line):
    """A line of log without what is another each time: the time, what it took, and a size that libraries make."""
    line = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", line)
    return re.sub(r" +\d+\.\d s ", " SECONDS ", re.sub(r'"seconds":[\d.]+|[\d,]+ bytes', "MANY", line))


def test_the_scheduled_run_is_as_it_says(chapter, tmp_path):
    shutil.copytree(ROOT / PAGES, tmp_path / PAGES)
    (config,) = read_blocks(chapter, "yaml")
    (tmp_path / "coverage.yaml").write_text(config)
    (log,) = (block for block in read_blocks(chapter, "console") if "TIME sources" in mask(block))
    line, notification = read_blocks(chapter, "json")

    def run_here(*options):
        return run("run", "--config", "coverage.yaml", *options, cwd=tmp_path, SPACK_WAREHOUSE_WEBHOOK=None)

    done = run_here()
    assert done.returncode == 3
    assert list(map(mask, log.splitlines()[1:])) == list(map(mask, done.stderr.splitlines()))
    assert json.loads(notification) == json.loads((tmp_path / "warehouse" / "notification.json").read_text())
    assert mask(line.strip()) in map(mask, run_here("--log-format", "json").stderr.splitlines())


def test_what_stays_is_as_it_says(tmp_path):
    (chapter,) = re.findall(r"^## What stays\n(.*?)^## ", README.read_text(), re.MULTILINE | re.DOTALL)
    (block,) = read_blocks(chapter, "console")
    mirrors = tmp_path / "mirrors"
    first, second = mirrors / "develop-2025-03-16", mirrors / "develop-2025-03-30"
    write_v2(first / "e4s", make_index(make_record(make_spec(number)) for number in range(3)))
    write_v2(second / "e4s", make_index(make_record(make_spec(number)) for number in range(4)))
    write_v2(second / "hep", make_index(make_record(make_spec(number)) for number in range(6)))
    run("build", "mirrors", cwd=tmp_path)
    shutil.rmtree(first)
    write_v2(second / "e4s", b"<!doctype html>")
    write_v2(second / "hep", make_index([make_record(make_spec(0))]))
    # Each command, and what a terminal shows of it.
    shown = [part.splitlines() for part in re.split(r"^\$ spack-warehouse ", block, flags=re.MULTILINE)[1:]]
    done = [run(*shlex.split(command), cwd=tmp_path) for command, *_ in shown]

    assert [one.returncode for one in done] == [3, 0]
    for one, (_, *lines) in zip(done, shown, strict=True):
        assert [mask_day(line) for line in lines] == [
            mask_day(line) for line in (one.stdout + one.stderr).strip().splitlines()
        ]


def write_mirrors(folder):
    """The mirrors of the chapter "From indexes": two snapshots of two stacks of layout v2, and a stack by Spack 1."""
    zlib = make_record(make_spec(1, versions=["2.2.3"]), "zlib-ng")
    mpich = make_record(make_spec(2, versions=["4.2.3"]), "mpich")
    hdf5 = make_record(make_spec(3), "hdf5", dependencies=[edge(1, "zlib-ng"), edge(2, "mpich")])
    blas = make_record(make_spec(4, versions=["0.3.29"]), "openblas")
    needed = [edge(number, name) for number, name in ((2, "mpich"), (3, "hdf5"), (4, "openblas"))]
    petsc = make_record(make_spec(5, versions=["3.22.4"]), "petsc", dependencies=needed)
    cmake = make_record(make_spec(6, versions=["3.31.6"]), "cmake")
    stacks = {
        "develop-2025-03-23/e4s": [zlib, mpich, hdf5, blas, petsc],
        "develop-2025-03-23/hpc": [zlib, mpich, hdf5, cmake],
        "develop-2025-03-30/e4s": [zlib, mpich, hdf5, blas, petsc],
        "develop-2025-03-30/hpc": [zlib, mpich, cmake],
    }
    for stack, records in stacks.items():
        write_v2(folder / stack, make_index(records))
    julia = make_record(make_spec(7, versions=["1.11.4"]), "julia")
    write_v3(folder / "develop-2025-03-30/gpu", make_index([zlib, mpich, hdf5, blas, petsc, cmake, julia], version="8"))


def write_lock(path):
    """The lock file of an environment of petsc that was concretized since: with a newer zlib-ng."""
    records = [
        make_record(make_spec(11, versions=["2.2.4"]), "zlib-ng"),
        make_record(make_spec(2, versions=["4.2.3"]), "mpich"),
        make_record(make_spec(13), "hdf5", dependencies=[edge(11, "zlib-ng"), edge(2, "mpich")]),
        make_record(make_spec(15, versions=["3.22.4"]), "petsc", dependencies=[edge(2, "mpich"), edge(13, "hdf5")]),
    ]
    lock = {
        "_meta": {"file-type": "spack-lockfile", "lockfile-version": 5},
        "roots": [{"hash": records[-1]["spec"]["hash"], "spec": "petsc"}],
        "concrete_specs": {record["spec"]["hash"]: record["spec"] for record in records},
    }
    path.write_text(json.dumps(lock))


@pytest.mark.parametrize("title", ["From indexes", "Expected lists"])
def test_answers_from_indexes_are_as_it_says(tmp_path, title):
    (chapter,) = re.findall(rf"^## {title}\n(.*?)^## ", README.read_text(), re.MULTILINE | re.DOTALL)
    write_mirrors(tmp_path / "mirrors")
    write_lock(tmp_path / "spack.lock")
    assert read_blocks(chapter, "console")
    for block in read_blocks(chapter, "console"):
        for command, *lines in (part.splitlines() for part in re.split(r"^\$ spack-warehouse ", block, flags=re.M)[1:]):
            done = run(*shlex.split(command), cwd=tmp_path)
            shown = (done.stdout + done.stderr).strip().splitlines()

            assert list(map(mask_day, lines)) == list(map(mask_day, shown)), command


def mask_day(line):
    return re.sub(r"\d{4}-\d\d-\d\d(?= stays| │)", "DAY", re.sub(r"\d+\.\d seconds", "SECONDS", line))


def test_the_steps_of_a_configuration_are_shown():
    assert len(STEPS.findall(README.read_text())) == 1


def test_the_cron_line_is_that_of_the_file(chapter):
    (line,) = read_blocks(chapter, "cron")

    assert line in (ROOT / "contrib" / "spack-warehouse.cron").read_text()


def test_the_files_that_it_names_are_there():
    links = re.findall(r"\]\(([^)#:]+)\)", README.read_text())

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_parquet_in_polars_is_what_the_views_say(sample, tmp_path, monkeypatch):
    (block,) = (block for block in read_blocks(README.read_text(), "python") if "import polars" in block)
    (tmp_path / "warehouse").symlink_to(sample)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(block, names)
    by_stack = names["rows"].filter(names["pl"].col("stack") != "root").group_by("snapshot", "stack")
    counted = by_stack.agg(packages=names["pl"].col("package").n_unique(), specs=names["pl"].len()).collect()

    rows = ask(sample, "select snapshot, stack, packages, specs from summary_by_stack")
    assert sorted(counted.rows()) == sorted(rows)
    assert names["covered"].collect().height == len({stack for _, stack, *_ in rows})
