"""Losses by their head where people read them: ``diff``, gates, the Markdown summary."""

import json
import re

import pytest

from pipeline.build import build
from pipeline.layout import Layout
from pipeline.report.export import export_reports
from tests.commands import run
from tests.makers import ask, make_index, write_v2
from tests.sites import FIRST, LIMA, QEMU, SECOND, THIRD, ZLIB, make_binary, make_site


@pytest.fixture(scope="module")
def warehouse(build_once):
    return build_once("site", make_site) / "warehouse"


@pytest.mark.slow
def test_diff_lists_losses_by_their_head(warehouse):
    # lima needed qemu, and both left e4s.
    table = run("diff", SECOND, THIRD, "--warehouse", warehouse).stdout
    listed = run("diff", SECOND, THIRD, "--by", "head", "--format", "json", "--warehouse", warehouse).stdout

    assert ["lima and 1 that went with it", "2", "e4s"] in [
        re.split(" {2,}", line.strip()) for line in table.splitlines()
    ]
    assert "qemu" not in table
    rows = [(one["stack"], one["head"], one["package"]) for one in json.loads(listed)]
    assert rows == [
        ("e4s", "lima", "lima"),
        ("e4s", "lima", "qemu"),
        ("radiuss", "umpire", "umpire"),
        ("radiuss", "zlib", "zlib"),
    ]
    assert set(rows) == set(
        ask(warehouse, f"select stack, head, package from loss_heads where to_snapshot = '{THIRD}'")
    )


def test_diff_of_snapshots_that_are_no_neighbours_has_heads_too(warehouse):
    options = ("--by", "head", "--stack", "e4s", "--format", "csv", "--warehouse", warehouse)

    assert run("diff", FIRST, THIRD, *options).stdout.splitlines() == [
        "stack,head,package",
        "e4s,lima,lima",
        "e4s,lima,qemu",
    ]


def test_heads_are_of_snapshots_alone(warehouse):
    done = run("diff", f"{SECOND}/e4s", f"{THIRD}/e4s", "--by", "head", "--warehouse", warehouse)

    assert done.returncode == 2
    assert "--stack and --by lost or head are of snapshots" in done.stderr


def test_a_gate_says_what_a_lost_package_went_with(tmp_path):
    for snapshot, binaries in ((SECOND, [ZLIB, LIMA, QEMU]), (THIRD, [ZLIB])):
        write_v2(tmp_path / "source" / snapshot / "e4s", make_index(map(make_binary, binaries)))
    build([tmp_path / "source"], tmp_path / "warehouse", jobs=1)
    (tmp_path / "gates.yaml").write_text("lost: {baseline: previous}\n")
    options = ("--config", tmp_path / "gates.yaml", "--format", "json", "--warehouse", tmp_path / "warehouse")
    done = run("gate", *options)

    assert done.returncode == 3
    assert {one["package"]: one["reason"] for one in json.loads(done.stdout)} == {
        "lima": "lost, and in no other stack; 1 package went with it",
        "qemu": "lost, and in no other stack; went with lima",
    }


def test_the_markdown_summary_has_a_row_for_each_head(warehouse, tmp_path):
    export_reports(Layout(warehouse), tmp_path, ["markdown"], [THIRD])
    text = (tmp_path / THIRD / "summary.md").read_text()

    assert "| package | went with it | stacks that had it | specs |\n| --- | --- | --- | ---: |\n" in text
    assert "\n| lima | qemu | e4s | 2 |\n" in text
    assert "\n| qemu |" not in text
    # What left a stack and is in others: nothing went with it.
    assert "| package | stacks that lost it | specs |\n| --- | --- | ---: |\n| umpire | radiuss | 1 |\n" in text
