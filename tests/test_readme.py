"""The README is true: its answers, its dictionary, its commands."""

import re

import pytest

from pipeline.cli import cli
from tests.readme import ANSWER, PAGES, README, ROOT, render_readme, run


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme") / "warehouse"
    run("build", PAGES, "--warehouse", str(folder))
    return folder


def test_answers_and_dictionary_are_current(warehouse):
    text = README.read_text()

    assert render_readme(text, warehouse) == text, "the README is old: run `make readme`"


def test_it_answers_ten_questions():
    assert len(ANSWER.findall(README.read_text())) >= 10


def test_it_documents_every_command():
    documented = set(re.findall(r"spack-warehouse ([a-z]+)", README.read_text()))

    assert set(cli.commands) <= documented


def test_it_documents_every_make_target():
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    documented = set(re.findall(r"make ([a-z]+)", README.read_text()))

    assert set(targets) <= documented
