"""Runs the steps of a GitHub Actions workflow as they are written, on this machine and without a network.

``run:`` steps are run by bash as GitHub's runner does, with their files for outputs and summary, and find the ``gh``
of tests/releases.py. Of ``uses:`` the few actions that the project needs are done here, as far as files go: see
:data:`ACTIONS`. A job without a checkout begins in an empty folder, as each does on a runner. Expressions are
evaluated by GitHub's rules; what is not known here, a context, a name, a function, an action or an input of
one, is a :class:`WorkflowError`, and never passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.releases import BRANCH, REPOSITORY, install_gh

SUCCESS, FAILURE, SKIPPED = "success", "failure", "skipped"
STATUS_FUNCTIONS = ("success", "failure", "always", "cancelled")
TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w-]*)|(?P<sign>&&|\|\||==|!=|[!().,]))"
)
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)

ACTIONS = {
    "actions/checkout": {"persist-credentials"},
    "actions/setup-python": {"python-version", "cache", "cache-dependency-path"},
    "actions/cache/restore": {"path", "key", "restore-keys"},
    "actions/cache/save": {"path", "key"},
    "actions/upload-artifact": {
        "name",
        "path",
        "if-no-files-found",
        "overwrite",
        "compression-level",
        "retention-days",
    },
    "actions/download-artifact": {"name"},
    "actions/configure-pages": set(),
    "actions/upload-pages-artifact": {"name", "path"},
    "actions/deploy-pages": {"artifact_name"},
}
"""The actions that are known here, each with those of its inputs that are."""
KEYS = {
    "workflow": {"name", "on", "permissions", "concurrency", "jobs"},
    "job": {
        "runs-on",
        "timeout-minutes",
        "permissions",
        "defaults",
        "env",
        "outputs",
        "steps",
        "needs",
        "if",
        "environment",
        "concurrency",
    },
    "step": {"name", "id", "if", "uses", "with", "run", "env"},
}


class WorkflowError(Exception):
    """Something in a workflow is not known here."""


def read_workflow(path: Path) -> dict[str, Any]:
    """A workflow whose keys are all known; ``on`` is the text, which YAML 1.1 takes for true."""
    read = yaml.safe_load(path.read_text())
    workflow = {"on" if key is True else key: value for key, value in read.items()}
    _check(workflow, "workflow", "workflow")
    for name, job in workflow["jobs"].items():
        _check(job, "job", name)
        for step in job["steps"]:
            _check(step, "step", f"{name}: {step}")
            if ("run" in step) == ("uses" in step):
                raise WorkflowError(f"{name}: {step}: neither run nor uses, or both")
    return workflow


def _check(mapping: Mapping[str, Any], kind: str, where: str) -> None:
    if unknown := set(mapping) - KEYS[kind]:
        raise WorkflowError(f"{where}: {sorted(unknown)}")


# Expressions


class Parser:
    """Evaluates one expression; ``contexts`` are nested mappings, ``functions`` take evaluated arguments."""

    def __init__(self, text: str, contexts: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> None:
        self.text, self.contexts, self.functions = text, contexts, functions
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            match = TOKEN.match(text, at)
            if match is None:
                raise WorkflowError(f"{text!r}: {text[at:]!r} is not known")
            self.tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
            at = match.end()

    def evaluate(self) -> Any:
        value = self._or()
        if self.tokens:
            raise WorkflowError(f"{self.text!r}: {self.tokens[0][1]!r} is too much")
        return value

    def _take(self, *signs: str) -> str | None:
        if self.tokens and self.tokens[0][0] == "sign" and self.tokens[0][1] in signs:
            return self.tokens.pop(0)[1]
        return None

    def _need(self, sign: str) -> None:
        if self._take(sign) is None:
            raise WorkflowError(f"{self.text!r}: {sign!r} is missing")

    def _or(self) -> Any:
        value = self._and()
        while self._take("||"):
            other = self._and()
            value = value if truth(value) else other
        return value

    def _and(self) -> Any:
        value = self._equal()
        while self._take("&&"):
            other = self._equal()
            value = other if truth(value) else value
        return value

    def _equal(self) -> Any:
        value = self._not()
        while sign := self._take("==", "!="):
            value = equal(value, self._not()) == (sign == "==")
        return value

    def _not(self) -> Any:
        if self._take("!"):
            return not truth(self._not())
        if self._take("("):
            value = self._or()
            self._need(")")
            return value
        return self._value()

    def _value(self) -> Any:
        if not self.tokens:
            raise WorkflowError(f"{self.text!r}: ends too early")
        kind, text = self.tokens.pop(0)
        if kind == "text":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return float(text)
        if kind != "name":
            raise WorkflowError(f"{self.text!r}: {text!r} is not expected")
        if text in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[text]
        return self._call(text) if self._take("(") else self._look_up(text)

    def _call(self, name: str) -> Any:
        arguments = []
        if not self._take(")"):
            arguments.append(self._or())
            while self._take(","):
                arguments.append(self._or())
            self._need(")")
        if name not in self.functions:
            raise WorkflowError(f"{self.text!r}: the function {name} is not known")
        return self.functions[name](*arguments)

    def _look_up(self, name: str) -> Any:
        value, path = self.contexts, "contexts"
        while True:
            if not isinstance(value, Mapping) or name not in value:
                raise WorkflowError(f"{self.text!r}: {name!r} is not known in {path}")
            value, path = value[name], name
            if not self._take("."):
                return value
            if not self.tokens or self.tokens[0][0] != "name":
                raise WorkflowError(f"{self.text!r}: a name is missing")
            name = self.tokens.pop(0)[1]


def truth(value: Any) -> bool:
    return value not in (None, False, "", 0)


def equal(first: Any, second: Any) -> bool:
    """GitHub's loose ``==``: texts whatever their case; what is of two types as numbers."""
    if isinstance(first, str) and isinstance(second, str):
        return first.casefold() == second.casefold()
    return first == second if type(first) is type(second) else _number(first) == _number(second)


def _number(value: Any) -> float:
    try:
        return float(value or 0)
    except ValueError:
        return float("nan")


class Outputs(dict[str, str]):
    """Outputs of a step: one that it did not set is empty."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> None:
        return None


# The runner


@dataclass
class Done:
    """A step or job that was run: its result, and a step's outputs, log and summary."""

    result: str
    outputs: dict[str, Any] = field(default_factory=dict)
    log: str = ""
    status: int | None = None
    summary: str = ""


@dataclass
class Machine:
    """What outlives a run: caches, releases and the published site; and what the repository's owner has set.

    ``branch`` is that of the runs, ``number`` that of the last one, and ``refused`` are the commands of ``gh``, such
    as ``release upload``, that fail.
    """

    store: Path
    secrets: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    branch: str = BRANCH
    refused: tuple[str, ...] = ()
    number: int = 0

    @property
    def published(self) -> Path:
        return self.store / "published"

    @property
    def caches(self) -> Path:
        return self.store / "caches"

    @property
    def releases(self) -> Path:
        """A folder for each release, with its assets."""
        return self.store / "releases"


class Run:
    """One run of a workflow in ``checkout``, a copy of the repository; ``event`` has the inputs of a run by hand."""

    def __init__(
        self, workflow: Mapping[str, Any], checkout: Path, machine: Machine, inputs: Mapping[str, Any] | None = None
    ) -> None:
        machine.number += 1
        self.workflow, self.checkout, self.machine = workflow, checkout, machine
        self.folder = machine.store / f"run-{machine.number}"
        self.folder.mkdir(parents=True)
        self.programs = install_gh(self.folder / "programs", machine.releases, machine.refused)
        self.workspace = checkout
        self.jobs: dict[str, Done] = {}
        self.steps: dict[str, dict[str, Done]] = {}
        self.restored: str | None = None
        known = workflow["on"]["workflow_dispatch"]["inputs"]
        if inputs is not None and (unknown := set(inputs) - set(known)):
            raise WorkflowError(f"no inputs: {unknown}")
        given = {name: one["default"] if inputs is not None else None for name, one in known.items()}
        self.contexts: dict[str, Any] = {
            "inputs": given | dict(inputs or {}),
            "vars": Outputs(machine.variables),
            "secrets": Outputs(machine.secrets),
            "runner": {"os": "Linux"},
            "github": {
                "event_name": "schedule" if inputs is None else "workflow_dispatch",
                "run_id": str(machine.number),
                "run_attempt": "1",
                "repository": REPOSITORY,
                "ref_name": machine.branch,
                "event": {"repository": {"default_branch": BRANCH}},
            },
        }
        for name, job in workflow["jobs"].items():
            self.jobs[name] = self._run_job(name, job)

    def evaluate(self, text: str, contexts: Mapping[str, Any], failed: bool) -> Any:
        functions = {
            "success": lambda: not failed,
            "failure": lambda: failed,
            "always": lambda: True,
            "cancelled": lambda: False,
            "hashFiles": self._hash_files,
        }
        return Parser(text, {**self.contexts, **contexts}, functions).evaluate()

    def holds(self, condition: str | None, contexts: Mapping[str, Any], failed: bool) -> bool:
        """An ``if:``; one that asks no status function asks for success, too."""
        if condition is None:
            return not failed
        whole = EXPRESSION.fullmatch(condition.strip())
        text = whole[1] if whole else condition
        if not re.search(rf"\b(?:{'|'.join(STATUS_FUNCTIONS)})\s*\(", text):
            text = f"success() && ({text})"
        return truth(self.evaluate(text, contexts, failed))

    def fill(self, value: Any, contexts: Mapping[str, Any]) -> str:
        """A value with its expressions evaluated, as the text that it becomes."""

        def spell(match: re.Match[str]) -> str:
            found = self.evaluate(match[1], contexts, failed=False)
            return "" if found is None else str(found).lower() if isinstance(found, bool) else str(found)

        if isinstance(value, bool):
            return str(value).lower()
        return EXPRESSION.sub(spell, str(value))

    def _hash_files(self, *patterns: str) -> str:
        found = sorted({path for pattern in patterns for path in self.checkout.glob(pattern) if path.is_file()})
        return hashlib.sha256(b"".join(path.read_bytes() for path in found)).hexdigest() if found else ""

    def _run_job(self, name: str, job: Mapping[str, Any]) -> Done:
        needs = {name: self.jobs[name] for name in _listed(job.get("needs"))}
        contexts: dict[str, Any] = {
            "needs": {name: {"result": done.result, "outputs": done.outputs} for name, done in needs.items()}
        }
        failed = any(done.result != SUCCESS for done in needs.values())
        self.steps[name] = {}
        if not self.holds(job.get("if"), contexts, failed):
            return Done(SKIPPED)
        # Whoever takes a token can see what it may do.
        contexts["github"] = self.contexts["github"] | {"token": json.dumps(job["permissions"])}
        contexts["env"] = {key: self.fill(value, contexts) for key, value in job.get("env", {}).items()}
        contexts["steps"] = {}
        self.workspace = self.checkout
        if not any(step.get("uses", "").startswith("actions/checkout@") for step in job["steps"]):
            self.workspace = self.folder / f"{name}-workspace"
            self.workspace.mkdir()
        failed = False
        for number, step in enumerate(job["steps"]):
            done = Done(SKIPPED)
            if self.holds(step.get("if"), contexts, failed):
                own = {key: self.fill(value, contexts) for key, value in step.get("env", {}).items()}
                environment = contexts["env"] | own
                done = (
                    self._run_script(step["run"], environment, self.folder / f"{name}-{number}", job)
                    if "run" in step
                    else self._act(step, {**contexts, "env": environment})
                )
                failed = failed or done.result == FAILURE
            label = step.get("id") or step.get("name") or step["uses"]
            self.steps[name][label] = done
            if "id" in step:
                contexts["steps"][step["id"]] = {
                    "outputs": Outputs(done.outputs),
                    "outcome": done.result,
                    "conclusion": done.result,
                }
        outputs = {key: self.fill(value, contexts) for key, value in job.get("outputs", {}).items()}
        self.fill(job.get("environment", {}).get("url", ""), contexts)
        return Done(FAILURE if failed else SUCCESS, outputs)

    def _run_script(self, script: str, environment: Mapping[str, str], folder: Path, job: Mapping[str, Any]) -> Done:
        """As ``shell: bash`` does: ``bash --noprofile --norc -eo pipefail FILE`` in the checkout."""
        if job["defaults"] != {"run": {"shell": "bash"}}:
            raise WorkflowError(f"defaults: {job['defaults']}")
        if EXPRESSION.search(script):
            raise WorkflowError(f"an expression in a script, which is an injection where its value is odd: {script}")
        folder.mkdir()
        files = {name: folder / name.lower() for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_ENV")}
        for file in files.values():
            file.touch()
        (folder / "script.sh").write_text(script)
        home, temporary = self.folder / "home", self.folder / "temporary"
        home.mkdir(exist_ok=True)
        temporary.mkdir(exist_ok=True)
        # A runner's environment, and nothing of this process's.
        env = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_RUN_ID": self.contexts["github"]["run_id"],
            "GITHUB_RUN_ATTEMPT": self.contexts["github"]["run_attempt"],
            "RUNNER_TEMP": str(temporary),
            **{name: str(file) for name, file in files.items()},
            **environment,
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", folder / "script.sh"],
            cwd=self.workspace,
            env=env,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        if files["GITHUB_ENV"].read_text():
            raise WorkflowError("GITHUB_ENV is written to, which is not known here")
        outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
        summary = files["GITHUB_STEP_SUMMARY"].read_text()
        return Done(FAILURE if done.returncode else SUCCESS, outputs, done.stdout, done.returncode, summary)

    # Actions

    def _act(self, step: Mapping[str, Any], contexts: Mapping[str, Any]) -> Done:
        action, _, _ = step["uses"].partition("@")
        if action not in ACTIONS:
            raise WorkflowError(f"the action {action} is not known")
        given = {key: self.fill(value, contexts) for key, value in step.get("with", {}).items()}
        if unknown := set(given) - ACTIONS[action]:
            raise WorkflowError(f"{action}: no inputs: {sorted(unknown)}")
        paths = [self._place(line) for line in given.get("path", "").splitlines() if line.strip()]
        match action:
            case "actions/cache/restore":
                return self._restore(paths, given["key"], given["restore-keys"].split())
            case "actions/cache/save":
                return self._save(paths, given["key"])
            case "actions/upload-artifact":
                return self._upload(paths, self.artifact(given["name"]))
            case "actions/download-artifact":
                return self._download(self.artifact(given["name"]))
            case "actions/upload-pages-artifact":
                return self._upload_site(paths, self.artifact(given["name"]))
            case "actions/deploy-pages":
                return self._deploy(self.artifact(given["artifact_name"]))
        if action == "actions/setup-python" and not (self.checkout / given["cache-dependency-path"]).is_file():
            return Done(FAILURE)
        return Done(SUCCESS)

    def artifact(self, name: str) -> Path:
        return self.folder / "artifacts" / name

    def _place(self, line: str) -> Path:
        """A path of an action; ``..`` in the middle is what they refuse."""
        if ".." in Path(line).parts:
            raise WorkflowError(f"path: {line!r}")
        return self.workspace / line

    def _cache(self, paths: list[Path]) -> Path:
        """Caches of the same paths, a folder each below; other paths are other caches."""
        # The home is a new folder for each run here, and the same path for each on a runner.
        spelt = "\n".join(str(path).replace(str(self.folder), "").replace(str(self.checkout), "") for path in paths)
        return self.machine.caches / hashlib.sha256(spelt.encode()).hexdigest()

    def _save(self, paths: list[Path], key: str) -> Done:
        place = self._cache(paths) / key
        if place.exists():
            raise WorkflowError(f"there is a cache {key}: one is never written anew")
        if not any(path.exists() for path in paths):
            return Done(SUCCESS, log="no path exists")
        place.mkdir(parents=True)
        for number, path in enumerate(paths):
            if path.exists():
                shutil.copytree(path, place / str(number), symlinks=True)
        return Done(SUCCESS)

    def _restore(self, paths: list[Path], key: str, prefixes: list[str]) -> Done:
        place = self._cache(paths)
        held = sorted(place.iterdir(), key=lambda one: one.stat().st_mtime_ns, reverse=True) if place.exists() else []
        found = next((one for wanted in (key, *prefixes) for one in held if one.name.startswith(wanted)), None)
        if found is not None:
            self.restored = found.name
            for number, path in enumerate(paths):
                if (found / str(number)).exists():
                    shutil.copytree(found / str(number), path, symlinks=True, dirs_exist_ok=True)
        return Done(SUCCESS)

    def _upload(self, paths: list[Path], place: Path) -> Done:
        place.mkdir(parents=True)
        for path in paths:
            if path.is_dir():
                shutil.copytree(path, place / path.name)
            elif path.exists():
                shutil.copy(path, place)
        return Done(SUCCESS)

    def _download(self, place: Path) -> Done:
        if not place.is_dir():
            return Done(FAILURE, log=f"no artifact {place.name}")
        shutil.copytree(place, self.workspace, dirs_exist_ok=True)
        return Done(SUCCESS)

    def _upload_site(self, paths: list[Path], place: Path) -> Done:
        (path,) = paths
        if not path.is_dir():
            return Done(FAILURE, log=f"{path} is no folder")
        for one in path.rglob("*"):
            if one.is_symlink() or (one.is_file() and one.stat().st_nlink > 1):
                raise WorkflowError(f"{one}: a link, which Pages refuses")
        shutil.copytree(path, place, ignore=shutil.ignore_patterns(".*"))
        return Done(SUCCESS)

    def _deploy(self, place: Path) -> Done:
        if not place.is_dir():
            return Done(FAILURE, log=f"no artifact {place.name}")
        shutil.rmtree(self.machine.published, ignore_errors=True)
        shutil.copytree(place, self.machine.published)
        return Done(SUCCESS, {"page_url": "https://example.org/"})


def _listed(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []
