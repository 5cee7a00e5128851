"""A scheduled run by the command line: its steps, its exit status, whom it notifies, and what it leaves."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import pipeline.cli
import pipeline.schedule
from pipeline.cli import cli
from pipeline.config import parse_config, read_config
from pipeline.report.export import REPORTS
from pipeline.report.notify import encode_notification, post_notification
from pipeline.report.summary import escape
from pipeline.schedule import STEPS, Outcome, StepLog, list_paths, notify
from pipeline.schedule import run as run_steps
from tests import commands
from tests.makers import ask, make_page, make_spec, write_page, write_pages
from tests.servers import drip, serve, stall, status

PAGES = Path(__file__).parent / "data" / "pages"
SECONDS = 120
ALL = {"out": "out", "formats": ["csv", "parquet", "json", "xlsx", "markdown"]}
FEW = {"out": "out", "formats": ["csv", "markdown"]}
HOLDS = {"rejects": {"maximum": 0}}
FAILS = {"coverage": [{"stack": "e4s", "packages": 1000}]}


def run(*arguments, cwd=None, **environment):
    return commands.run("run", *arguments, cwd=cwd, **environment)


def write_config(folder, **keys):
    config = {
        "sources": [{"path": "pages"}],
        "gates": HOLDS,
        "reports": FEW,
        "notify": {"file": "notification.json"},
        **keys,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "c.yaml").write_text(yaml.safe_dump({key: value for key, value in config.items() if value is not None}))
    return folder / "c.yaml"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(PAGES, tmp_path / "pages")
    return tmp_path


def steps_of(done):
    """(step, status) of each line, of a log in JSON; notes left out."""
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(line["time"].endswith("Z") for line in lines)
    return [(line["step"], line["status"]) for line in lines if line["status"] != "note"]


def contents(folder):
    """Every file below, with what must not change when nothing does."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".lock") and path.name != "state.msgpack"
    }


def test_every_step_is_done_and_logged_in_a_line(folder):
    done = run("--config", write_config(folder, reports=ALL))
    lines = done.stderr.splitlines()

    assert (done.returncode, done.stdout) == (0, "")
    assert [line.split()[1] for line in lines] == [*STEPS, "run"]
    assert "4 pages, 0 indexes in 3 snapshots, 157 specs, 360 rows, 0 rejects" in lines[1]
    assert all(" s  " in line for line in lines)
    snapshots = {"develop", "develop-2025-03-16", "develop-2025-03-30"}
    assert {path.name for path in (folder / "out").iterdir()} == {*snapshots, "index.json", "index.html"}
    for name in snapshots:
        there = {path.name for path in (folder / "out" / name).iterdir()}
        tables = {f"{report}.{format}" for report in REPORTS for format in ("csv", "parquet", "json")}
        assert there == {*tables, "reports.xlsx", "summary.md", "index.json"}
    assert ask(folder / "warehouse", "select count(*) from spec_stacks") == [(360,)]
    assert not (folder / "notification.json").exists()


@pytest.mark.slow
def test_a_second_run_changes_nothing(folder):
    config = write_config(folder, reports=ALL)
    assert run("--config", config).returncode == 0
    before = contents(folder)
    done = run("--config", config, "--log-format", "json")

    assert done.returncode == 0
    assert steps_of(done) == [
        *((step, "skipped" if step in ("retention", "site") else "done") for step in STEPS),
        ("run", "done"),
    ]
    assert "no snapshot changed" in done.stderr
    assert contents(folder) == before


def test_a_site_is_written_and_left_alone_where_nothing_changed(folder, monkeypatch):
    # The gates' step judges, once for all.
    monkeypatch.setattr("pipeline.publish.site.judge", None)
    site = {"out": "site", "base_url": "https://example.org/cache", "docs": "https://example.org/docs"}
    reports = {"formats": ["csv"], "snapshots": ["develop*"], "keep": 1, "out": "out"}
    config = write_config(folder, site=site, reports=reports, gates=FAILS)
    done = run("--config", config, "--log-format", "json", "--today", "2025-04-01")
    before = contents(folder / "site")

    assert ("site", "done") in steps_of(done)
    # Every snapshot has a page, and the one that is kept its reports.
    assert len(list((folder / "site" / "snapshot").iterdir())) == 3
    assert (folder / "site" / "develop" / "summary_by_stack.csv").is_file()
    assert not (folder / "site" / "develop-2025-03-30").exists()
    assert "https://example.org/cache/package/" in (folder / "site/package/py-wheel/index.html").read_text()
    assert '<a href="https://example.org/docs">' in (folder / "site/index.html").read_text()
    gates = json.loads((folder / "site" / "front.json").read_text())["gates"]
    assert (gates["summary"], gates["failed"]) == ("0 of 1 gates hold", True)
    again = run("--config", config, "--log-format", "json", "--today", "2025-04-01")
    assert ("site", "done") in steps_of(again)
    assert "0 written" in again.stderr
    assert contents(folder / "site") == before


@pytest.mark.slow
def test_a_site_may_be_the_folder_of_the_reports(folder):
    assert run("--config", write_config(folder, site={"out": "out"}, reports=FEW)).returncode == 0
    first = {*files_of(folder / "out")}
    assert run("--config", write_config(folder, site={"out": "out"}, reports=FEW)).returncode == 0

    assert {*files_of(folder / "out")} == first
    assert {"index.html", "status.json", "develop/index.json"} <= first


def test_a_dry_run_says_where_the_site_will_be(folder):
    config = write_config(folder, site={"out": "site", "base_url": "https://example.org"})
    done = run("--config", config, "--dry-run")
    paths = run("--config", config, "--paths")

    assert f"site       {folder}/site; to be at https://example.org\n" in done.stdout
    assert f"site={folder}/site\n" in paths.stdout


def files_of(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_another_machine_gives_the_same_reports(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(PAGES, other / "pages")
    assert run("--config", write_config(folder, reports=ALL)).returncode == 0
    assert commands.run_process("run", "--config", write_config(other, reports=ALL), TZ="Asia/Tokyo").returncode == 0

    first, second = (
        {str(path.relative_to(one)): path.read_bytes() for path in (one / "out").rglob("*") if path.is_file()}
        for one in (folder, other)
    )
    assert first == second


def test_a_failed_gate_is_reported_and_reports_are_written(folder):
    config = write_config(folder, gates=FAILS)
    done = run("--config", config, "--log-format", "json", "--today", "2025-04-01")
    reported = json.loads((folder / "notification.json").read_text())

    assert done.returncode == 3
    assert ("gates", "falls short") in steps_of(done)
    assert steps_of(done)[-1] == ("run", "falls short")
    assert (folder / "out" / "develop" / "summary.md").exists()
    assert (reported["status"], reported["exit_status"], reported["snapshot"]) == ("falls short", 3, "develop")
    assert (reported["config"], reported["date"]) == ("c.yaml", "2025-04-01")
    assert reported["counts"] == {
        "snapshots": 3,
        "pages": 4,
        "indexes": 0,
        "specs": 157,
        "rows": 360,
        "rejects": 0,
        "failed_checks": 0,
        "shortfalls": 1,
    }
    ((gate, stack, found),) = [(one["gate"], one["stack"], one["found"]) for one in reported["shortfalls"]]
    assert (gate, stack, found) == ("coverage", "e4s", "2")
    assert "e4s" in reported["text"]
    assert reported["steps"]["reports"] == "done"

    before = (folder / "notification.json").read_bytes()
    assert run("--config", config, "--today", "2025-04-01").returncode == 3
    assert (folder / "notification.json").read_bytes() == before
    assert run("--config", config).returncode == 3
    assert "date" not in json.loads((folder / "notification.json").read_text())
    assert run("--config", write_config(folder)).returncode == 0
    assert not (folder / "notification.json").exists()


@pytest.mark.slow
def test_rejects_fall_short_only_under_strict(folder):
    write_page(folder / "pages", make_page([make_spec(1), make_spec(2, hash="x")], meta={}), "a.md")
    loose = run("--config", write_config(folder, gates=None))
    strict = run("--config", write_config(folder, gates=None, strict=True))

    assert (loose.returncode, strict.returncode) == (0, 3)
    for done in (loose, strict):
        assert "note                  rejected: a.md: spec_details[1].hash: 'x" in done.stderr
    assert "1 reject" in json.loads((folder / "notification.json").read_text())["text"]


@pytest.mark.slow
def test_pages_that_are_all_rejected_stay_as_they_were_and_fail_the_run(folder):
    config = write_config(folder, gates=None, reports=None)
    assert run("--config", config).returncode == 0
    before = ask(folder / "warehouse", "select snapshot, hash from specs order by all")
    for page in (folder / "pages").rglob("*.md"):
        page.write_text(page.read_text().replace("title:", "titel:"))
    done = run("--config", config)
    reported = json.loads((folder / "notification.json").read_text())

    assert done.returncode == 3
    assert "4 rejects" in done.stderr
    assert [line.split(": ")[0] for line in reported["sources"]] == ["stale"] * 3
    assert ask(folder / "warehouse", "select snapshot, hash from specs order by all") == before


def test_a_warehouse_of_rejects_alone_fails_the_run(folder):
    for page in (folder / "pages").rglob("*.md"):
        page.write_text(page.read_text().replace("title:", "titel:"))
    done = run("--config", write_config(folder, gates=None, reports=None))

    assert done.returncode == 3
    assert "no snapshot could be loaded" in json.loads((folder / "notification.json").read_text())["text"]


def test_without_a_build_there_is_nothing_to_report(folder):
    write_page(folder / "pages", make_page([make_spec(1)]), "a/hdf5.md")
    write_page(folder / "pages", make_page([make_spec(2)]), "b/hdf5.md")
    done = run("--config", write_config(folder), "--log-format", "json")
    reported = json.loads((folder / "notification.json").read_text())

    assert done.returncode == 1
    assert steps_of(done)[:3] == [("sources", "done"), ("build", "failed"), ("checks", "skipped")]
    assert "Traceback" not in done.stderr
    assert not (folder / "out").exists()
    assert [one["step"] for one in reported["failures"]] == ["build"]
    assert "hdf5" in reported["failures"][0]["reason"]
    assert reported["snapshot"] is None


def test_what_cannot_be_done_is_worse_than_a_gate_that_fails(folder):
    reports = {"out": "out", "formats": ["csv"], "snapshots": ["v9*"]}
    done = run("--config", write_config(folder, gates=FAILS, reports=reports), "--log-format", "json")
    statuses = dict(steps_of(done))

    assert done.returncode == 1
    assert (statuses["gates"], statuses["reports"], statuses["retention"]) == ("falls short", "failed", "skipped")
    assert "no snapshot 'v9*'" in done.stderr


@pytest.mark.parametrize("options", [[], ["--log-format", "json"], ["--dry-run"]])
def test_a_wrong_file_is_reported_by_line_and_nothing_done(folder, options):
    config = write_config(folder)
    config.write_text("sources:\n  - path: nowhere\nkeep: 3\nreports:\n  formats: [pdf]\n")
    done = run("--config", config, *options)
    lines = done.stderr.splitlines()
    if "json" in options:
        lines = [json.loads(line)["message"] for line in lines]

    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split(": ")[0] for line in lines] == [f"{config}:{number}" for number in (3, 5)]
    assert sorted(path.name for path in folder.iterdir()) == ["c.yaml", "pages"]


def test_a_missing_file_is_one_line(tmp_path):
    done = run("--config", tmp_path / "none.yaml")

    assert done.returncode == 1
    reported = (
        f"{tmp_path}/none.yaml: no such file; name one with --config: examples/coverage.yaml is one to begin with"
    )
    assert done.stderr == f"spack-warehouse: {reported}\n"


def test_a_dry_run_prints_the_steps_and_writes_nothing(folder):
    config = write_config(folder, notify={"file": "n.json", "webhook": "HOOK"})
    before = contents(folder)
    done = run("--config", config, "--dry-run", HOOK="https://example.org/SECRET")

    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [*STEPS, "notify", "notify"]
    assert "HOOK, which is set" in done.stdout
    assert "SECRET" not in done.stdout
    assert contents(folder) == before


def test_a_dry_run_for_machines_is_an_object_a_line(folder):
    done = run("--config", write_config(folder), "--dry-run", "--log-format", "json")

    assert [json.loads(line)["step"] for line in done.stdout.splitlines()] == [*STEPS, "notify"]


def test_paths_are_printed_a_line_each_and_nothing_done(folder):
    home = folder / "home"
    done = run("--config", write_config(folder, cache="c"), "--paths")
    bare = run("--config", write_config(folder, reports=None, notify=None), "--paths", XDG_CACHE_HOME=str(home))
    reported, reported_bare = (dict(line.split("=", 1) for line in one.stdout.splitlines()) for one in (done, bare))

    assert reported == {
        name: str(folder / path)
        for name, path in [
            ("warehouse", "warehouse"),
            ("downloads", "c"),
            ("reports", "out"),
            ("site", "out"),
            ("notification", "notification.json"),
        ]
    }
    assert reported_bare == {
        "warehouse": str(folder / "warehouse"),
        "downloads": str(home / "spack-warehouse"),
        "reports": str(folder / "warehouse" / "reports"),
        "site": str(folder / "warehouse" / "reports"),
    }
    assert sorted(path.name for path in folder.iterdir()) == ["c.yaml", "pages"]


def test_a_missing_source_is_reported_and_fails_the_run_that_goes_on_with_the_others(folder):
    (folder / "notification.json").write_bytes(encode_notification({"version": 1, "text": "Spack Warehouse: old"}))
    config = read_config(write_config(folder, sources=[{"path": "pages"}, {"path": "mount"}]))
    lines = []
    outcome = run_steps(config, StepLog("json", lines.append), summary=folder / "s.md")
    reason = f"failed: {folder}/mount: no such file or folder"
    reported = json.loads((folder / "notification.json").read_text())

    assert outcome.exit_status == 3
    assert outcome.statuses["build"] == "falls short"
    assert reason in [json.loads(line)["message"] for line in lines]
    assert reported["sources"] == [reason]
    assert reason in reported["text"]
    assert ask(folder / "warehouse", "select count(*) from spec_stacks") == [(360,)]


@pytest.mark.slow
def test_without_any_source_the_build_fails_and_the_last_warehouse_stays(folder):
    assert run("--config", write_config(folder)).returncode == 0
    config = read_config(write_config(folder, sources=[{"path": "mount"}]))
    outcome = run_steps(config, StepLog("json", lambda line: None), summary=folder / "s.md")
    reason = f"{folder}/mount: no such file or folder"

    assert outcome.exit_status == 1
    assert outcome.statuses["build"] == "failed"
    assert json.loads((folder / "notification.json").read_text())["failures"] == [{"step": "build", "reason": reason}]
    assert escape(reason) in (folder / "s.md").read_text()
    assert list_paths(config)["warehouse"] == folder / "warehouse"
    assert ask(folder / "warehouse", "select count(*) from spec_stacks") == [(360,)]


def test_a_dry_run_names_a_missing_source(folder):
    config = write_config(folder, sources=[{"path": "mount"}], gates=None)
    done = CliRunner().invoke(cli, ["run", "--config", str(config), "--dry-run"])
    paths = CliRunner().invoke(cli, ["run", "--config", str(config), "--paths"])

    assert (done.exit_code, done.stdout) == (1, "")
    assert "/mount: no such file or folder" in done.stderr
    assert paths.exit_code == 0


def test_a_notification_names_a_source_as_it_was_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vs").mkdir()
    (tmp_path / "c.yaml").write_text("sources: [{path: vs}]\njobs: 1\nnotify: {file: n.json}\n")
    outcome = run_steps(read_config(Path("c.yaml")), StepLog("text", lambda line: None), summary=Path("s.md"))

    assert outcome.exit_status == 1
    for name in ("n.json", "s.md"):
        text = (tmp_path / name).read_text()
        assert " vs" in text
        assert str(tmp_path) not in text


# The notification's file


def send(config, outcome):
    """Notify, and give (step, status) of each line of the log."""
    lines = []
    log = StepLog("json", lambda line: lines.append(json.loads(line)))
    notify(config, outcome, log, None, {})
    return [(line["step"], line["status"]) for line in lines]


@pytest.fixture
def config(tmp_path):
    text = "sources: [{path: .}]\nnotify: {file: n.json}\n"
    return parse_config(text, "c.yaml", tmp_path)


WELL, FAILED = Outcome({"build": "done"}), Outcome({"build": "failed"}, failures=[("build", "why")])


def test_a_notification_is_renewed_and_removed(config):
    assert send(config, FAILED) == send(config, FAILED) == [("notify", "done")]
    assert json.loads(config.notify.file.read_bytes())["failures"] == [{"step": "build", "reason": "why"}]
    assert send(config, WELL) == send(config, WELL) == []
    assert not config.notify.file.exists()

    config.notify.file.touch()
    assert send(config, FAILED) == [("notify", "done")]


@pytest.mark.parametrize("outcome", [WELL, FAILED])
@pytest.mark.parametrize("mine", [b"sources: []\n", b'{"version": 1}', b"\0" * 200])
def test_what_is_no_notification_is_neither_removed_nor_replaced(config, outcome, mine):
    config.notify.file.write_bytes(mine)

    assert send(config, outcome) == [("notify", "failed")]
    assert config.notify.file.read_bytes() == mine


@pytest.mark.parametrize("length", [0, 1, 30, 60, 200])
def test_a_cut_notification_is_one(config, length):
    send(config, FAILED)
    whole = config.notify.file.read_bytes()
    config.notify.file.write_bytes(whole[:length])

    assert send(config, FAILED) == [("notify", "done")]
    assert config.notify.file.read_bytes() == whole


def test_a_pipe_is_not_waited_for(config):
    os.mkfifo(config.notify.file)
    assert send(config, WELL) == [("notify", "failed")]


# The summary


def test_a_summary_lists_steps_shortfalls_and_the_snapshot(folder):
    config = write_config(folder, gates={"coverage": [{"stack": "e4s", "packages": 1000}, {"stack": "a|<b>*"}]})
    config.write_text(config.read_text().replace("- stack: a|<b>*", "- stack: a|<b>*\n    minimum: 0.5"))
    done = run("--config", config, "--summary", folder / "s.md")
    text = (folder / "s.md").read_text()

    assert done.returncode == 3
    assert text.startswith("# Spack Warehouse: develop: falls short\n")
    assert [line.split(" | ")[0][2:] for line in text.splitlines() if line.startswith("| ")][2:9] == [*STEPS]
    assert "| gates | falls short |" in text
    assert "| coverage | develop | e4s |  | 1,000 packages at least | 2 | too few packages |" in text
    assert r"a\|&lt;b&gt;\*" in text
    assert "| packages | 2 | 1 | +1 |" in text
    assert (folder / "out" / "develop" / "summary.md").read_text() in text
    assert f"summary done {folder}/s.md" in " ".join(done.stderr.split())


def test_a_summary_without_a_build_says_why(folder):
    write_page(folder / "pages", make_page([make_spec(1)]), "a/hdf5.md")
    write_page(folder / "pages", make_page([make_spec(2)]), "b/hdf5.md")
    assert run("--config", write_config(folder), "--summary", folder / "s.md").returncode == 1
    text = (folder / "s.md").read_text()

    assert text.startswith("# Spack Warehouse: no snapshot: failed\n")
    assert "## What could not be done" in text
    assert f"| build | {escape(folder / 'pages' / 'a' / 'hdf5.md')[:40]}" in text
    assert "# Coverage" not in text


@pytest.mark.slow
def test_that_a_file_cannot_be_written_or_removed_is_a_message_and_no_other_status(folder):
    (folder / "n.json" / "mine").mkdir(parents=True)
    done = run("--config", write_config(folder, notify={"file": "n.json"}), "--summary", folder / "none" / "s.md")

    assert done.returncode == 0
    reported = " ".join(done.stderr.split())
    assert f"notify failed {folder}/n.json: " in reported
    assert f"summary failed {folder}/none/s.md: No such file or directory" in reported
    assert done.stderr.splitlines()[-1].endswith("exit status 0")


@pytest.mark.slow
@pytest.mark.parametrize("wait", [0.5, 1.5, 2.5])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_killed_is_made_good_by_the_next(folder, wait, number):
    config = write_config(folder, reports=ALL)
    command = [sys.executable, "-m", "pipeline", "run", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as killed:
        time.sleep(wait)
        killed.send_signal(number)
        reported = killed.communicate(timeout=SECONDS)[1]
    assert "Traceback" not in reported
    assert killed.returncode in (0, 128 + number, -number)
    if reported and killed.returncode == 128 + signal.SIGTERM:
        assert " exit status " in reported.splitlines()[-1]
    assert run("--config", config).returncode == 0

    other = folder / "other"
    config = write_config(folder, warehouse="w", reports={**ALL, "out": "other"})
    assert run("--config", config).returncode == 0
    names = {str(path.relative_to(other)) for path in other.rglob("*")}
    assert names == {str(path.relative_to(folder / "out")) for path in (folder / "out").rglob("*")}
    assert all((folder / "out" / name).read_bytes() == (other / name).read_bytes() for name in names if "." in name)


def interrupt():
    raise KeyboardInterrupt


def interrupt_query():
    raise RuntimeError("Query interrupted")


@pytest.mark.parametrize(
    ("end", "message", "status"),
    [
        (lambda: pipeline.terminal.group.end_on_signal(signal.SIGTERM, None), "by SIGTERM: exit status 143", 143),
        (interrupt, "by SIGINT: exit status 1", 1),
        (interrupt_query, "by SIGINT: exit status 1", 1),
    ],
)
def test_a_run_that_a_signal_ends_says_so_at_last(tmp_path, monkeypatch, end, message, status):
    monkeypatch.setattr(pipeline.terminal.group, "_ended_by", [])
    monkeypatch.setattr(pipeline.schedule, "find_sources", lambda config: end())
    (tmp_path / "c.yaml").write_text("sources: [{path: .}]\n")
    done = CliRunner().invoke(cli, ["run", "--config", str(tmp_path / "c.yaml"), "--log-format", "json"])
    (line,) = map(json.loads, done.stderr.splitlines())

    assert (line["step"], line["status"], line["message"]) == ("run", "ended", message)
    assert done.exit_code == status


WEEKS = [f"develop-2025-03-{day:02}" for day in (2, 9, 16, 23, 30)]


@pytest.mark.slow
def test_reports_of_old_snapshots_are_removed(tmp_path):
    write_pages(tmp_path / "pages", {(week, "hdf5"): [make_spec(at)] for at, week in enumerate(WEEKS)})

    def run_keeping(keep, **reports):
        config = write_config(tmp_path, gates=None, reports={"out": "out", "formats": ["csv"], "keep": keep, **reports})
        done = run("--config", config)
        assert done.returncode == 0, done.stderr
        index = json.loads((tmp_path / "out" / "index.json").read_text())
        folders = sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir())
        assert [one["snapshot"] for one in index["snapshots"]] == [name for name in folders if name != "mine"]
        return folders

    assert run_keeping(4) == WEEKS[1:]
    (tmp_path / "out" / "mine").mkdir()
    (tmp_path / "out" / "mine" / "notes.txt").write_text("not a report")
    # What the sources hold no more keeps its reports, but is the oldest.
    shutil.rmtree(tmp_path / "pages" / "_cache" / WEEKS[4])
    assert run_keeping(4) == [*WEEKS[:4], "mine"]
    assert run_keeping(2, snapshots=["newest"]) == [*WEEKS[2:4], "mine"]
    assert run_keeping(2, snapshots=["latest", "previous"]) == [*WEEKS[2:4], "mine"]
    assert run_keeping(1) == [WEEKS[3], "mine"]


@pytest.mark.slow
def test_two_runs_at_once_both_end_well(folder):
    config = write_config(folder, reports=ALL)
    command = [sys.executable, "-m", "pipeline", "run", "--config", str(config)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    reported = [one.communicate(timeout=SECONDS)[1] for one in both]

    assert [one.returncode for one in both] == [0, 0], reported
    index = json.loads((folder / "out" / "index.json").read_text())
    assert len(index["snapshots"]) == 3


# The webhook


def post(url, timeout=5):
    return post_notification(url, b'{"text": "x"}', timeout)


@pytest.mark.slow
def test_a_webhook_gets_the_notification(folder):
    config = write_config(folder, gates=FAILS, notify={"file": "n.json", "webhook": "HOOK"})
    with serve() as site:
        url = site.put("/hook?token=SECRET", status(204))
        done = run("--config", config, HOOK=url)

    assert done.returncode == 3
    assert site.posted == [(folder / "n.json").read_bytes()]
    assert site.asked[0][1]["Content-Type"] == "application/json"
    assert "webhook of HOOK: posted" in done.stderr
    assert "SECRET" not in done.stderr


@pytest.mark.slow
def test_where_all_is_well_nothing_is_posted(folder):
    config = write_config(folder, notify={"webhook": "HOOK"})
    with serve() as site:
        done = run("--config", config, HOOK=site.put("/hook", status(204)))

    assert (done.returncode, site.asked) == (0, [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answers", "tries", "message"),
    [
        ([status(500), status(200)], 2, "posted"),
        ([status(503)], 2, "answered 503"),
        ([status(404)], 1, "answered 404"),
        ([status(302, Location="/elsewhere")], 1, "answered 302"),
    ],
)
def test_that_a_webhook_fails_is_a_message_and_no_other_status(folder, answers, tries, message):
    config = write_config(folder, gates=FAILS, notify={"webhook": "HOOK"})
    with serve() as site:
        done = run("--config", config, HOOK=site.put("/hook", *answers))

    assert done.returncode == 3
    assert (len(site.posted), site.count("/hook")) == (tries, tries)
    assert f"webhook of HOOK: {message}" in done.stderr


@pytest.mark.slow
def test_a_webhook_that_is_not_set_is_off(folder):
    done = run("--config", write_config(folder, gates=FAILS, notify={"webhook": "HOOK_NOT_SET"}))

    assert done.returncode == 3
    assert "the environment variable HOOK_NOT_SET is not set" in done.stderr


def test_a_webhook_that_does_not_answer_is_not_waited_for():
    with serve() as site:
        assert post(site.put("/hook", stall(3)), 0.2) == "did not answer in 0.2 seconds"
        assert len(site.posted) == 2


def test_a_webhook_that_answers_byte_by_byte_is_not_waited_for():
    with serve() as site:
        url = site.put("/hook", drip(0.1))
        began = time.monotonic()

        assert post(url, 0.3) == "did not answer in 0.3 seconds"
        assert 0.6 <= time.monotonic() - began < 3


def test_that_nothing_can_be_posted_at_all_is_a_reason(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "gopher://SECRET")
    assert "SECRET" not in (post("http://localhost:1/") or "SECRET")


def test_what_is_no_url_is_not_posted_to():
    with serve() as site:
        url = site.url
    assert post(url) == "cannot be connected to"
    for odd in ("file:///etc/passwd", "x", "", "http://xn--a/SECRET", "http://a\udcff/", "http://a/\udcff"):
        assert post(odd) == "is no URL of http or https"
    for odd in ("http://", "http://[", "http://a:b/SECRET", "http://\0"):
        assert "SECRET" not in (post(odd) or "SECRET")
