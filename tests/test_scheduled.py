"""What runs by itself: the workflow's steps as they are written, the units, the cron line, make scheduled."""

import configparser
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from pipeline.build import build
from pipeline.cli import cli
from pipeline.config import read_config
from pipeline.publish.status import STATUS
from pipeline.report.folder import FILES_PAGE
from pipeline.report.landing import SITE
from tests.makers import ask, make_index, make_record, make_spec, write_v2
from tests.releases import REPOSITORY, install_gh
from tests.servers import serve, status
from tests.test_landing import Page
from tests.workflow import ACTIONS, Machine, Outputs, Parser, Run, WorkflowError, read_workflow

ROOT = Path(__file__).parent.parent
WORKFLOW = ROOT / ".github" / "workflows" / "coverage.yml"
CONTRIB = ROOT / "contrib"
INSTALLED = "/opt/spack-warehouse"
NEEDED = (".github", "Makefile", "contrib", "examples", "pipeline", "requirements", "sql", "tests/data")
SECONDS = 120
FAILS = {"coverage": [{"stack": "e4s", "packages": 1000}]}
STEPS_AFTER = [
    "Save the warehouse and what was fetched",
    "Keep the reports and the notification",
    "Keep the site for Pages",
    "Pack the history",
    "Hand over the history",
]
WRITE = '{"contents": "write"}'


def copy_repository(folder):
    """A checkout whose virtual environment is there already: the one that runs the tests, with this code."""
    for name in NEEDED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, target, ignore=ignored) if source.is_dir() else shutil.copy(source, target)
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").write_text("#!/bin/sh\nexit 9\n")
    (programs / "spack-warehouse").write_text(
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(folder))} exec {shlex.quote(sys.executable)} -m pipeline "$@"\n'
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    (folder / ".venv" / "runtime").touch()
    return folder


@pytest.fixture
def checkout(tmp_path):
    return copy_repository(tmp_path / "checkout")


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path / "github")


@pytest.fixture(scope="module")
def workflow():
    return read_workflow(WORKFLOW)


def write_config(checkout, name="mine/coverage.yaml", **keys):
    config = {
        "sources": [{"path": "../tests/data/pages"}],
        "warehouse": "../kept/warehouse",
        "gates": FAILS,
        "reports": {"formats": ["csv", "html"]},
        "notify": {"file": "../kept/notification.json", "webhook": "SPACK_WAREHOUSE_WEBHOOK"},
        **keys,
    }
    path = checkout / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(config))
    return name


def results(run, job="report"):
    return {label: done.result for label, done in run.steps[job].items()}


def files_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def name_history(config, run):
    """The asset that a run leaves for the next."""
    digest = hashlib.sha256(f"{config}\n".encode()).hexdigest()[:16]
    return f"history-{digest}-{run}-1.tar"


def put_asset(machine, name):
    """An asset of the release, with nothing in it."""
    release = machine.releases / "coverage-history"
    release.mkdir(parents=True, exist_ok=True)
    tarfile.open(release / name, "w").close()


def list_assets(machine):
    return {path.name for path in (machine.releases / "coverage-history").iterdir()}


def assert_site_is_whole(folder):
    """The front page is there, and every file of the reports is listed and there."""
    page = Page(folder / FILES_PAGE)
    assert len(page.heads()) == 3
    there = set(files_below(folder))
    assert {unquote(link) for link in page.links} <= there
    assert {SITE, STATUS, "latest/index.html", "package/py-wheel/index.json", "develop/report.html"} <= there


# The workflow


@pytest.mark.slow
def test_a_scheduled_run_reports_and_publishes_and_the_next_goes_on_from_it(workflow, machine, tmp_path):
    first = Run(workflow, copy_repository(tmp_path / "a"), machine)
    published = files_below(machine.published)

    assert {name: done.result for name, done in first.jobs.items()} == dict.fromkeys(workflow["jobs"], "success")
    assert set(results(first).values()) == {"success"}
    assert (first.restored, first.jobs["report"].outputs["status"]) == (None, "0")
    assert "3 snapshots built anew" in first.steps["report"]["run"].log
    summary = first.steps["report"]["run"].summary
    assert summary.startswith("# Spack Warehouse: develop: done\n")
    for figure in ("| packages | 2 | 1 | +1 |", "| specs | 82 | 43 | +39 |", "## Largest gaps"):
        assert figure in summary
    assert len(summary.encode()) < 1024 * 1024
    assert_site_is_whole(machine.published)
    assert files_below(first.artifact("coverage") / "reports") == published
    assert not (first.artifact("coverage") / "notification.json").exists()

    # On another machine, from the cache alone.
    second = Run(workflow, copy_repository(tmp_path / "b"), machine)
    assert second.restored is not None
    assert second.jobs["publish"].result == "success"
    assert "no snapshot changed" in second.steps["report"]["run"].log
    assert files_below(machine.published) == published


@pytest.mark.slow
def test_a_run_with_a_failed_gate_publishes_and_fails(workflow, machine, checkout, tmp_path):
    mirror = write_v2(tmp_path / "mirror", make_index([make_record(make_spec(1))]))
    with serve() as site:
        source = {"url": site.put_folder(mirror), "snapshot": "v1.0", "stack": "ours"}
        machine.secrets = {"SPACK_WAREHOUSE_WEBHOOK": site.put("/hook", status(204))}
        config = write_config(checkout, sources=[{"path": "../tests/data/pages/"}, source], gates=FAILS)
        run = Run(workflow, checkout, machine, {"config": config, "log_format": "json"})
        posted, url = site.posted, machine.secrets["SPACK_WAREHOUSE_WEBHOOK"]
    done = run.steps["report"]["run"]

    assert (done.status, done.result, run.jobs["report"].outputs["status"]) == (3, "failure", "3")
    assert {label: results(run)[label] for label in STEPS_AFTER} == dict.fromkeys(STEPS_AFTER, "success")
    assert (run.jobs["report"].result, run.jobs["publish"].result) == ("failure", "success")
    assert [json.loads(line)["step"] for line in done.log.splitlines()][-1] == "run"
    assert "too few packages" in done.summary
    assert url not in done.log + done.summary
    notification = (run.artifact("coverage") / "notification.json").read_bytes()
    assert posted == [notification]
    assert json.loads(notification)["exit_status"] == 3
    page = Page(machine.published / SITE)
    assert [name for name, *_ in page.heads()][-1] == "v1.0"
    assert {unquote(link) for link in page.links} == set(files_below(machine.published)) - {SITE}

    # What is kept for the next run is there: the warehouse, and what was fetched.
    (cache,) = (machine.store / "caches").glob("*/*")
    assert (cache / "0" / "warehouse.duckdb").is_file()
    assert [path for path in (cache / "1").rglob("*") if path.is_file()]


@pytest.mark.slow
def test_what_could_not_be_done_leaves_the_site_as_it_is(workflow, machine, checkout):
    machine.published.mkdir(parents=True)
    (machine.published / SITE).write_text("the one before")
    config = write_config(checkout, sources=[{"path": "../mount"}])
    put_asset(machine, name_history(config, 0))
    run = Run(workflow, checkout, machine, {"config": config})
    done = run.steps["report"]["run"]

    assert (done.status, run.jobs["report"].result, run.jobs["publish"].result) == (1, "failure", "skipped")
    assert results(run)["Keep the site for Pages"] == "skipped"
    assert results(run)["Keep the reports and the notification"] == "success"
    assert (run.artifact("coverage") / "notification.json").is_file()
    assert "## What could not be done" in done.summary
    assert (machine.published / SITE).read_text() == "the one before"
    assert run.jobs["keep"].result == "skipped"
    assert list_assets(machine) == {name_history(config, 0)}


@pytest.mark.slow
def test_what_spack_has_pruned_outlives_the_cache(workflow, machine, tmp_path):
    mirrors, other = tmp_path / "mirrors", "history-0123456789abcdef-1-1.tar"
    for number, snapshot in enumerate(["develop-2025-03-16", "develop-2025-03-30"]):
        write_v2(mirrors / snapshot / "e4s", make_index([make_record(make_spec(number))]))
    put_asset(machine, other)
    logs = []
    for number, gates in enumerate([{"rejects": {"maximum": 0}}, FAILS, FAILS]):
        checkout = copy_repository(tmp_path / f"checkout-{number}")
        sources = [{"path": str(mirrors)}]
        config = write_config(checkout, sources=sources, gates=gates, keep_snapshots=True, reports={"formats": ["csv"]})
        run = Run(workflow, checkout, machine, {"config": config})
        logs.append(run.steps["report"]["run"].log)
        heads = [name for name, *_ in Page(machine.published / SITE).heads()]
        assert (run.restored, run.jobs["keep"].result) == (None, "success")
        assert run.jobs["report"].outputs["status"] == ("0" if number == 0 else "3")
        assert sorted(heads) == ["develop-2025-03-16", "develop-2025-03-30"]
        shutil.rmtree(machine.caches)
        shutil.rmtree(mirrors / "develop-2025-03-16", ignore_errors=True)

    kept = ["1 snapshot kept that no source gives today" in log for log in logs]
    assert kept == [False, True, True]
    # The newest two of this configuration, and what another one has.
    assert list_assets(machine) == {other, name_history(config, 2), name_history(config, 3)}

    with tarfile.open(machine.releases / "coverage-history" / name_history(config, 3)) as history:
        history.extractall(tmp_path / "unpacked", filter="data")
    build([tmp_path / "unpacked" / ".current"], tmp_path / "restored")
    held = ask(tmp_path / "restored", "select snapshot, specs from snapshots order by snapshot")
    assert held == [("develop-2025-03-16", 1), ("develop-2025-03-30", 1)]


@pytest.mark.parametrize("refused", ["release list", "release view", "release download"])
def test_a_history_that_cannot_be_read_ends_the_job_before_the_build(workflow, machine, checkout, refused):
    machine.published.mkdir(parents=True)
    (machine.published / SITE).write_text("the one before")
    config = write_config(checkout)
    put_asset(machine, name_history(config, 0))
    machine.refused = (refused,)
    run = Run(workflow, checkout, machine, {"config": config})

    assert results(run)["Restore the history where the cache has none"] == "failure"
    assert {label: results(run)[label] for label in ["run", *STEPS_AFTER]} == dict.fromkeys(
        ["run", *STEPS_AFTER], "skipped"
    )
    assert [run.jobs[job].result for job in ("report", "keep", "publish")] == ["failure", "skipped", "skipped"]
    assert (machine.published / SITE).read_text() == "the one before"
    assert list_assets(machine) == {name_history(config, 0)}
    assert not machine.caches.exists()


@pytest.mark.slow
def test_an_upload_that_fails_leaves_the_history(workflow, machine, checkout):
    config = write_config(checkout, gates=None, reports={"formats": ["csv"]})
    before = {name_history(config, -2), name_history(config, -1)}
    for name in before:
        put_asset(machine, name)
    machine.refused = ("release upload",)
    run = Run(workflow, checkout, machine, {"config": config})

    assert [run.jobs[job].result for job in ("report", "keep", "publish")] == ["success", "failure", "success"]
    assert list_assets(machine) == before | {f"{name_history(config, 1)}.starter"}


def test_a_wrong_configuration_ends_the_job_before_anything_is_done(workflow, machine, checkout):
    write_config(checkout, "mine.yaml", reports={"formats": ["pdf"]})
    machine.variables = {"COVERAGE_CONFIG": "mine.yaml"}
    run = Run(workflow, checkout, machine)
    after = list(results(run).values())[list(results(run)).index("paths") :]

    assert after == ["failure", *["skipped"] * (len(after) - 1)]
    assert "mine.yaml:" in run.steps["report"]["paths"].log
    assert (run.jobs["report"].result, run.jobs["publish"].result) == ("failure", "skipped")


@pytest.mark.slow
def test_a_run_by_hand_need_not_publish(workflow, machine, checkout):
    config = write_config(checkout, gates={"rejects": {"maximum": 0}})
    machine.branch = "mine"
    run = Run(workflow, checkout, machine, {"config": config, "publish": False})

    assert (run.jobs["report"].result, run.jobs["publish"].result) == ("success", "skipped")
    assert not machine.published.exists()
    # Nor does a branch leave its history to the scheduled runs.
    assert run.jobs["keep"].result == "skipped"
    assert not machine.releases.exists() or not list(machine.releases.iterdir())


@pytest.mark.parametrize("odd", ['x"; touch pwned; echo "', "$(touch pwned)", "`touch pwned`", "--help", "a\nb=c"])
def test_an_odd_input_is_a_name_of_a_file_and_no_command(workflow, machine, checkout, odd):
    run = Run(workflow, checkout, machine, {"config": odd})

    assert run.jobs["report"].result == "failure"
    assert results(run)["paths"] == "failure"
    assert not list(checkout.rglob("pwned"))


def test_no_step_may_do_more_than_it_must(workflow):
    report, keep, publish = (workflow["jobs"][name] for name in ("report", "keep", "publish"))

    assert workflow["permissions"] == {}
    assert report["permissions"] == {"contents": "read"}
    assert keep["permissions"] == {"contents": "write"}
    assert publish["permissions"] == {"pages": "write", "id-token": "write"}
    assert "run" not in {key for step in publish["steps"] for key in step}
    for job in (keep, publish):
        assert [step for step in job["steps"] if "checkout" in step.get("uses", "")] == []
    for job in (report, keep, publish):
        assert 0 < job["timeout-minutes"] <= 360
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")
    with_secrets = [step["id"] for step in report["steps"] if "secrets." in json.dumps(step)]
    assert with_secrets == ["run"]
    assert workflow["concurrency"] == {"group": "coverage", "cancel-in-progress": False}


def test_actions_are_pinned_by_commit():
    lines = re.findall(r"uses:.*", WORKFLOW.read_text())
    pins = [re.fullmatch(r"uses: ([\w/-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)", line) for line in lines]
    by_repository = {(*pin[1].split("/")[:2], pin[2], pin[3]) for pin in pins}

    assert {pin[1] for pin in pins} == set(ACTIONS)
    # Of a repository one commit, and one version of it.
    assert len(by_repository) == len({name for _, name, *_ in by_repository})


def test_it_is_scheduled_and_can_be_started_by_hand(workflow):
    (schedule,) = workflow["on"]["schedule"]
    inputs = workflow["on"]["workflow_dispatch"]["inputs"]
    (log_format,) = (option for option in cli.commands["run"].params if option.name == "log_format")

    assert_cron_times(schedule["cron"].split())
    assert set(inputs) == {"config", "log_format", "publish"}
    assert inputs["log_format"]["options"] == list(log_format.type.choices)


def test_pythons_version_is_one_that_the_project_takes(workflow):
    (version,) = (
        step["with"]["python-version"]
        for step in workflow["jobs"]["report"]["steps"]
        if "setup" in step.get("uses", "")
    )

    assert tuple(map(int, version.split("."))) >= (3, 11)


# What runs the workflow here is strict


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a.b || 'c'", "c"),
        ("a.x && 'c' || 'd'", "c"),
        ("!a.x == false", True),
        ("(a.x == 'ONE') != true", False),
        ("a.none == ''", True),
        ("a.none != false", False),
        ("'it''s'", "it's"),
        ("a.x == 1", False),
        ("a.none == '0'", True),
        ("true && 2 == 2", True),
    ],
)
def test_expressions_are_evaluated_by_githubs_rules(text, value):
    assert Parser(text, {"a": Outputs(x="one")}, {}).evaluate() == value


@pytest.mark.parametrize(
    "text", ["b", "a.x y", "f()", "a.", "(a.x", "a.x ==", "a[0]", '"x"', "a.x.y", "a.x = 'one'", "$"]
)
def test_an_unknown_expression_is_refused(text):
    with pytest.raises(WorkflowError):
        Parser(text, {"a": Outputs(x="one")}, {}).evaluate()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('--config="$CONFIG" --paths', "${{ env.CONFIG }} --paths"),
        ("actions/checkout@", "somebody/checkout@"),
        ("persist-credentials", "persist-credential"),
        pytest.param("steps.run.outputs.status != ''", "steps.runs.outputs.status != ''", marks=pytest.mark.slow),
        ("vars.COVERAGE_CONFIG", "var.COVERAGE_CONFIG"),
        ("runs-on: ubuntu-latest\n    timeout", "runs_on: ubuntu-latest\n    timeout"),
    ],
)
def test_a_mistake_in_the_workflow_is_found(machine, checkout, tmp_path, old, new):
    assert old in WORKFLOW.read_text()
    (tmp_path / "w.yml").write_text(WORKFLOW.read_text().replace(old, new))
    with pytest.raises(WorkflowError):
        Run(read_workflow(tmp_path / "w.yml"), checkout, machine)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("issue list", "'issue list' is not known"),
        ("release list --limit 9 --json tagName --jq '.[].tagName | length'", "jq: "),
        ("release list --exclude-drafts", "unknown flag: --exclude-drafts"),
        ("release view none --json assets --jq '.assets[].name'", "release not found"),
        ("release create coverage-history", "HTTP 403"),
        ("release upload coverage-history a.tar", "HTTP 403"),
    ],
)
def test_gh_refuses_what_it_does_not_know(tmp_path, command, reason):
    programs = install_gh(tmp_path / "programs", tmp_path / "releases", ())
    token = WRITE.replace("write", "read") if "403" in reason else WRITE
    done = subprocess.run(
        [programs / "gh", *shlex.split(command)],
        env={"GH_REPO": REPOSITORY, "GH_TOKEN": token},
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )

    assert done.returncode == 1
    assert done.stderr.startswith(f"gh: {reason}")


# systemd


class Units(configparser.RawConfigParser):
    """Unit files: keys keep their case, and one that is there again adds a line."""

    optionxform = staticmethod(str)


def read_unit(name):
    parser = Units(strict=False, interpolation=None, comment_prefixes=("#", ";"), delimiters=("=",))
    parser.read_string((CONTRIB / name).read_text())
    return parser


def assert_command_is_ours(words):
    """A command line that begins with the installed program and that the command line takes."""
    assert words[0] == f"{INSTALLED}/.venv/bin/spack-warehouse"
    command = cli.commands[words[1]]
    context = command.make_context(words[1], words[2:])
    assert context.params["config"] == Path("/etc/spack-warehouse/coverage.yaml")


def test_the_service_runs_a_command_that_there_is():
    service = read_unit("spack-warehouse.service")["Service"]

    assert_command_is_ours(shlex.split(service["ExecStart"]))
    assert service["Type"] == "oneshot"
    # What fails is a failure of the unit, as its comment says.
    assert "3" not in service["SuccessExitStatus"].split()


def test_the_service_may_write_to_its_own_folders_alone():
    service = read_unit("spack-warehouse.service")["Service"]
    config = read_config(CONTRIB / "coverage.yaml")
    state = Path("/var/lib") / service["StateDirectory"]

    assert service["User"] == "spack-warehouse"
    assert (service["ProtectSystem"], service["ProtectHome"]) == ("strict", "yes")
    assert (service["NoNewPrivileges"], service["CapabilityBoundingSet"]) == ("yes", "")
    assert "ReadWritePaths" not in service
    assert service["Environment"] == "XDG_CACHE_HOME=%C"
    assert service["CacheDirectory"] == "spack-warehouse"
    for path in (config.warehouse, config.out, config.notify.file):
        assert path.is_relative_to(state)
    assert config.cache is None
    assert config.notify.webhook == "SPACK_WAREHOUSE_WEBHOOK"
    assert service["EnvironmentFile"] == "-/etc/spack-warehouse/environment"


def test_the_timer_makes_up_for_what_was_missed():
    timer = read_unit("spack-warehouse.timer")

    assert re.fullmatch(r"\*-\*-\* \d\d:\d\d:\d\d", timer["Timer"]["OnCalendar"])
    assert timer["Timer"]["Persistent"] == "true"
    assert timer["Timer"]["RandomizedDelaySec"]
    assert timer["Install"]["WantedBy"] == "timers.target"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here to verify the units with")
def test_systemd_takes_the_units(tmp_path):
    for name in ("spack-warehouse.service", "spack-warehouse.timer"):
        text = (CONTRIB / name).read_text()
        # The program is installed on no machine that runs tests.
        (tmp_path / name).write_text(text.replace(f"{INSTALLED}/.venv/bin/spack-warehouse", shutil.which("true")))
    command = ["systemd-analyze", "verify", *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)

    assert (done.returncode, done.stderr) == (0, "")


# cron


def assert_cron_times(fields):
    """Minute, hour, day of the month, month, day of the week: each a number of its range, or any."""
    assert len(fields) == 5
    for field, (least, most) in zip(fields, [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)], strict=True):
        assert field == "*" or least <= int(field) <= most


def read_cron_line():
    lines = (CONTRIB / "spack-warehouse.cron").read_text().splitlines()
    (line,) = (line for line in lines if line[:1].isdigit())
    return line.split(None, 6)


@pytest.mark.slow
@pytest.mark.parametrize(("gates", "printed"), [({"rejects": {"maximum": 0}}, False), (FAILS, True)])
def test_the_cron_line_prints_only_what_is_worth_a_mail(checkout, gates, printed):
    *times, user, command = read_cron_line()
    config = checkout / write_config(checkout, gates=gates)
    # cron ends a command at %, and knows no line that goes on.
    assert "%" not in command
    assert_cron_times(times)
    assert user == "spack-warehouse"
    assert_command_is_ours(shlex.split(re.search(r"\$\((.*) 2>&1\)", command)[1]))
    here = command.replace(INSTALLED, str(checkout)).replace("/etc/spack-warehouse/coverage.yaml", str(config))
    done = subprocess.run(
        ["/bin/sh", "-c", here],
        cwd="/",
        env={"PATH": os.environ["PATH"], "HOME": str(checkout)},
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert ("exit status 3" in done.stdout) == printed
    assert bool(done.stdout) == printed
    assert (checkout / "kept" / "warehouse" / "reports" / SITE).is_file()


# make


@pytest.mark.slow
@pytest.mark.parametrize(("gates", "code"), [({"rejects": {"maximum": 0}}, 0), (FAILS, 2)])
def test_make_scheduled_does_what_the_file_says(checkout, gates, code):
    config = write_config(checkout, gates=gates)
    done = subprocess.run(
        ["make", "scheduled", f"CONFIG={config}"],
        cwd=checkout,
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )

    # make ends with 2 whatever its command ended with, and says that.
    assert done.returncode == code
    assert ("Error 3" in done.stderr) == (code == 2)
    assert (checkout / "kept" / "warehouse" / "reports" / "develop" / "report.html").is_file()
