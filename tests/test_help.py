"""The help: a line for each command, and examples that work."""

import inspect
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline.demo.command
import pipeline.demo.corpus
from pipeline.cli import cli
from tests.commands import SECONDS, run
from tests.makers import SAMPLE

EXAMPLES = Path(__file__).parent.parent / "examples"
EXAMPLE = re.compile(r"^  (spack-warehouse .*?)(?:      .*)?$|^  (eval .*?)(?:      .*)?$", re.MULTILINE)
OF_A_SHELL = re.compile("[|>$]|warehouse shell")
OK = (0, 3)
"""Done, or something fails: the sample has gaps."""


def list_examples(text):
    return [first or second for first, second in EXAMPLE.findall(inspect.cleandoc(text or ""))]


@pytest.fixture
def workplace(tmp_path, sample, monkeypatch):
    """A folder that has what the examples name, and a warehouse of the sample pages."""
    shutil.copytree(sample, tmp_path / "warehouse", symlinks=True)
    for place in ("cache.spack.io/_cache", "path/to/cache.spack.io/_cache", "mirrors"):
        shutil.copytree(SAMPLE, tmp_path / place)
    for name in ("gates.yaml", "known.yaml", "expected.txt"):
        shutil.copy(EXAMPLES / name, tmp_path)
    (tmp_path / "spack.yaml").write_text("spack:\n  specs: [py-wheel, py-build]\n")
    (tmp_path / "coverage.yaml").write_text("sources: [{path: cache.spack.io/_cache}]\nreports: {formats: [md]}\n")
    # A snapshot and a package of the demo show as much as all.
    monkeypatch.setattr(pipeline.demo.command, "SNAPSHOTS", 1)
    monkeypatch.setattr(pipeline.demo.corpus, "REAL_NAMES", ["hdf5"])
    return tmp_path


def test_each_command_has_one_line_that_ends_in_a_full_stop():
    lines = run("--help", COLUMNS="80").stdout.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()

    assert [line.split()[0] for line in lines] == sorted(cli.commands)
    assert [line for line in lines if not line.endswith(".") or line.endswith("..") or len(line) > 80] == []


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_each_command_has_examples_that_work(workplace, name):
    examples = list_examples(cli.commands[name].help)
    if name == "watch":
        # A site that it can watch.
        assert run("site", "--out", "public", "--format", "csv", cwd=workplace).returncode == 0

    assert len(examples) >= 2
    for example in examples:
        assert f" {name} " in f"{example} "
        done = run_example(example, workplace)
        assert done.returncode in OK, (example, done.stderr)
        assert "Usage:" not in done.stderr


def test_the_first_examples_work(workplace):
    for example in list_examples(cli.help):
        assert run_example(example, workplace).returncode == 0, example


def run_example(example, folder):
    example = example.replace("/srv/warehouse", "warehouse").replace("~/.config/fish/completions/", "")
    if not OF_A_SHELL.search(example):
        return run(*shlex.split(example)[1:], cwd=folder)
    command = f'spack-warehouse() {{ {shlex.join([sys.executable, "-m", "pipeline"])} "$@"; }}; {example}'
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
