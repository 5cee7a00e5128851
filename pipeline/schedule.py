"""A scheduled run: sources, build, checks, gates, reports and retention, as a configuration says.

Each step does its work whatever the one before found; only without a build there is nothing to go on
with. A run that finds everything as the run before changes nothing.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb
import msgspec

from pipeline.ask.gates import SHORTFALL_COLUMNS, Verdict, judge
from pipeline.ask.scope import Say, choose_snapshots, list_snapshots
from pipeline.build import build
from pipeline.catalog.publish import Wish, publish_data
from pipeline.config import Config
from pipeline.errors import FileFaultsError, WarehouseError, explain_refusal
from pipeline.io.disk import hold_lock, renew_file
from pipeline.io.progress import Progress, number_of
from pipeline.io.streams import show_json
from pipeline.layout import Layout, find_cache
from pipeline.publish.site import Wanted, publish_site
from pipeline.report.export import choose_kept, export_reports, prune_reports
from pipeline.report.notify import VERSION, encode_notification, escape_text, may_replace, post_notification
from pipeline.report.summary import Found, summarise_run
from pipeline.sources.files import Source
from pipeline.store.checks import Check, check_files, run_checks
from pipeline.store.database import open_database
from pipeline.store.history import Wishes

DONE, SHORT, FAILED, SKIPPED, NOTE, ENDED = "done", "falls short", "failed", "skipped", "note", "ended"
"""How a step ended; a note is a detail of the step before it, and a run that a signal ends is ended."""
SHOWN_NOTES = 10
"""So many notes of a step are listed."""
STEPS = ("sources", "build", "checks", "gates", "reports", "retention", "site")
EXIT_OF = {DONE: 0, SKIPPED: 0, SHORT: 3, FAILED: 1}
"""Exit statuses, the better first: a step that could not be done is worse than one that found something."""
_BADNESS = (DONE, SKIPPED, SHORT, FAILED)
TOLD = 100
"""So many rows of what fails are in a notification; their number always is."""


class StepLog:
    """Writes lines of the ``format`` ``text`` or ``json`` with ``write``."""

    def __init__(self, format: str, write: Callable[[str], None]) -> None:
        self.format = format
        self._write = write

    def report(self, step: str, status: str, message: str, seconds: float | None = None) -> None:
        """Write one line; ``seconds`` is how long the step took."""
        time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        message = " ".join(message.split())
        if self.format == "json":
            line: dict[str, object] = {"time": time, "step": step, "status": status, "message": message}
            if seconds is not None:
                line["seconds"] = round(seconds, 3)
            self._write(show_json(msgspec.json.encode(line).decode()))
            return
        took = f"{seconds:.1f} s" if seconds is not None else ""
        self._write(f"{time} {step:9} {status:11} {took:>8}  {message}")

    def note(self, step: str, lines: list[str]) -> None:
        """Write the first of ``lines`` as notes of a step, and how many there are more."""
        for line in lines[:SHOWN_NOTES]:
            self.report(step, NOTE, line)
        if len(lines) > SHOWN_NOTES:
            self.report(step, NOTE, f"… and {len(lines) - SHOWN_NOTES:,} more")


@dataclass
class Outcome:
    """What the steps of a run found; ``statuses`` and ``messages`` are in the order of the steps."""

    statuses: dict[str, str] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    snapshot: str | None = None
    checks: list[Check] = field(default_factory=list)
    verdict: Verdict | None = None

    @property
    def status(self) -> str:
        """The worst of the steps' statuses."""
        worst = max((_BADNESS.index(status) for status in self.statuses.values()), default=0)
        return DONE if _BADNESS[worst] == SKIPPED else _BADNESS[worst]

    @property
    def exit_status(self) -> int:
        return EXIT_OF[self.status]


@dataclass
class Ending:
    """How one step ended: its status, a line that says so, and details, a line each."""

    message: str
    status: str = DONE
    notes: list[str] = field(default_factory=list)


def list_steps(config: Config, environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """What a run of ``config`` would do: (step, what) in their order."""
    reports, notify, gates = config.reports, config.notify, config.gates
    options = [
        config.choice.describe(),
        "offline" if config.offline else "",
        "with sizes" if config.sizes else "",
        "rejects fall short" if config.strict else "",
    ]
    steps = [("sources", _show_source(source)) for source in config.sources]
    steps.append(("build", "; ".join(filter(None, [str(config.warehouse), *options]))))
    steps.append(("checks", "every check"))
    counted = number_of(gates.count, "gate") if gates else ""
    steps.append(("gates", f"{gates.name}: {counted} on {gates.snapshot}" if gates else "none"))
    chosen = ", ".join(reports.snapshots) or "all"
    steps.append(("reports", f"{', '.join(reports.formats)} of snapshots: {chosen}; to {config.out}"))
    steps.append(("retention", f"the {reports.keep:,} newest snapshots' stay" if reports.keep else "all reports stay"))
    address = f"; to be at {config.base_url}" if config.base_url else ""
    steps.append(("site", f"{config.site}{address}" if config.site else "none"))
    if notify.file:
        steps.append(("notify", str(notify.file)))
    if notify.webhook:
        known = "set" if environment.get(notify.webhook) else "not set"
        steps.append(("notify", f"webhook of the environment variable {notify.webhook}, which is {known}"))
    return steps


def list_paths(config: Config) -> dict[str, Path]:
    """Where a run of ``config`` keeps what it makes, by name; what is fetched from URLs is ``downloads``.

    ``site`` is what to publish: the folder of the reports where there is no site.
    """
    paths = {"warehouse": config.warehouse}
    try:
        paths["downloads"] = config.cache or find_cache()
    except WarehouseError:
        if any(source.is_remote for source in config.sources):
            raise
    paths["reports"] = config.out
    paths["site"] = config.site or config.out
    if config.notify.file is not None:
        paths["notification"] = config.notify.file
    return paths


def _show_source(source: Source) -> str:
    named = ", ".join(name for name in (source.snapshot, source.stack) if name)
    return f"{source.place} as {named}" if named else source.place


def run(
    config: Config,
    log: StepLog,
    today: dt.date | None = None,
    environment: Mapping[str, str] | None = None,
    summary: Path | None = None,
) -> Outcome:
    """Do the steps of ``config`` in their order, and report what fails.

    ``today`` is the day that gates judge on, by default this day (UTC); a notification has it only where
    it is given. ``environment`` holds a webhook's URL, by default the process's. ``summary`` is a file for
    what was found, as Markdown.
    """
    began = time.monotonic()
    outcome = Outcome()
    layout = Layout(config.warehouse)
    run_step(outcome, log, "sources", lambda: find_sources(config))
    with contextlib.ExitStack() as held:
        if run_step(outcome, log, "build", lambda: prepare(layout, log, held)):
            do_steps(config, layout, outcome, log, today)
        else:
            skip_steps(outcome, log, STEPS[2:])
    notify(config, outcome, log, today, os.environ if environment is None else environment)
    if summary is not None:
        write_run_summary(summary, outcome, layout, log)
    message = f"exit status {outcome.exit_status}"
    log.report("run", outcome.status, message, time.monotonic() - began)
    return outcome


def do_steps(config: Config, layout: Layout, outcome: Outcome, log: StepLog, today: dt.date | None) -> None:
    """The steps from the build on."""
    day = today or dt.datetime.now(dt.UTC).date()
    if not run_step(outcome, log, "build", lambda: build_warehouse(config, outcome, log, day)):
        skip_steps(outcome, log, STEPS[2:])
        return
    run_step(outcome, log, "checks", lambda: check_warehouse(layout, outcome))
    run_step(outcome, log, "gates", lambda: judge_gates(config, layout, outcome, day))
    if run_step(outcome, log, "reports", lambda: write_reports(config, layout, Waiting(log, "reports"))):
        run_step(outcome, log, "retention", lambda: retain_reports(config, layout, Waiting(log, "retention")))
    else:
        skip_steps(outcome, log, ("retention",))
    run_step(outcome, log, "site", lambda: write_site(config, layout, outcome.verdict, day, Waiting(log, "site")))


def run_step(outcome: Outcome, log: StepLog, step: str, work: Callable[[], Ending | None]) -> bool:
    """Do one step and report how it ended; returns whether it could be done. None: nothing to report yet."""
    began = time.monotonic()
    try:
        ending = work()
    except FileFaultsError as error:
        ending = Ending(error.faults[0], FAILED, error.faults[1:])
    except WarehouseError as error:
        ending = Ending(str(error), FAILED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        ending = Ending(f"{where}{error.strerror or error}", FAILED)
    except Exception as error:
        refusal = explain_refusal(error)
        if refusal is None:
            raise
        ending = Ending(refusal, FAILED)
    if ending is None:
        return True
    outcome.statuses[step], outcome.messages[step] = ending.status, ending.message
    if ending.status == FAILED:
        outcome.failures += [(step, line) for line in [ending.message, *ending.notes]]
    log.report(step, ending.status, ending.message, time.monotonic() - began)
    log.note(step, ending.notes)
    return ending.status != FAILED


def skip_steps(outcome: Outcome, log: StepLog, steps: tuple[str, ...]) -> None:
    for step in steps:
        outcome.statuses[step], outcome.messages[step] = SKIPPED, "what it needs is not there"
        log.report(step, SKIPPED, outcome.messages[step])


# The steps


def find_sources(config: Config) -> Ending:
    remote = sum(source.is_remote for source in config.sources)
    missing = sum(bool(source.fault) for source in config.sources)
    gone = f", {missing:,} missing" if missing else ""
    return Ending(f"{len(config.sources) - remote:,} here, {remote:,} by URL{gone}")


def prepare(layout: Layout, log: StepLog, held: contextlib.ExitStack) -> None:
    """Make the warehouse's folder, and hold the run's lock in it as long as ``held`` does."""
    layout.root.mkdir(parents=True, exist_ok=True)
    held.enter_context(hold_lock(layout.run_lock, partial(Waiting(log, "run").wait, layout.root, "run")))


class Waiting(Progress):
    """Writes to the log that a step has to wait, and what else is to be known while it goes on."""

    def __init__(self, log: StepLog, step: str) -> None:
        self._log, self._step = log, step

    def wait(self, folder: Path, what: str) -> None:
        self._log.report(self._step, "waiting", f"{folder}: another {what} is running; waiting for it to end")

    def note(self, line: str) -> None:
        self._log.report(self._step, NOTE, line)


def build_warehouse(config: Config, outcome: Outcome, log: StepLog, day: dt.date) -> Ending:
    waiting = Waiting(log, "build")
    try:
        summary = build(
            config.sources,
            config.warehouse,
            config.workplace.jobs,
            waiting,
            config.choice,
            config.cache,
            config.offline,
            wishes=Wishes(config.keep),
            today=day,
            sizes=config.sizes,
            cluster=config.workplace.cluster,
        )
    except WarehouseError as error:
        raise WarehouseError(config.show_paths(str(error))) from error
    for name in ("snapshots", "pages", "indexes", "specs", "rows", "rejects"):
        outcome.counts[name] = getattr(summary, name)
    read = f"{number_of(summary.pages, 'page')}, {number_of(summary.indexes, 'index')}"
    held = f"{number_of(summary.snapshots, 'snapshot')}, {summary.describe_held()}"
    message = f"{read} in {held}; {summary.describe_changes()}"
    notes = outcome.troubles = summary.list_troubles()
    if summary.rejects:
        with open_database(Layout(config.warehouse)) as connection:
            rows = connection.execute("select path, place, reason from rejects order by all").fetchall()
        notes = [*notes, *(f"rejected: {path}: {place}: {reason}" for path, place, reason in rows)]
    whole = summary.is_whole(config.strict) and not (config.strict and summary.rejects)
    # Rejects alone make no warehouse.
    return Ending(message, DONE if whole and summary.snapshots else SHORT, notes)


def check_warehouse(layout: Layout, outcome: Outcome) -> Ending:
    checks = [check_files(layout)]
    with open_database(layout) as connection:
        outcome.snapshot = next((one.name for one in list_snapshots(connection)), None)
        checks += run_checks(connection)
    outcome.checks = [check for check in checks if check.offenders]
    failed = sum(check.failed for check in checks)
    outcome.counts["failed_checks"] = failed
    notes = [
        f"{'failed' if check.failed else 'warning'}: {check.name} ({check.offenders:,}): {check.rule}"
        for check in outcome.checks
    ]
    message = f"{number_of(len(checks), 'check')}, {failed} failed, {len(notes) - failed} with warnings"
    return Ending(message, SHORT if failed else DONE, notes)


def judge_gates(config: Config, layout: Layout, outcome: Outcome, day: dt.date) -> Ending:
    if config.gates is None:
        return Ending("none", SKIPPED)
    with open_database(layout) as connection:
        verdict = judge(connection, config.gates, day)
    outcome.verdict = verdict
    outcome.counts["shortfalls"] = len(verdict.shortfalls)
    outcome.snapshot = verdict.snapshot or config.gates.snapshot
    notes = [describe_shortfall(row) for row in verdict.rows()] + verdict.note_lines()
    return Ending(verdict.summary(), SHORT if verdict.shortfalls else DONE, notes)


def describe_shortfall(row: tuple[object, ...]) -> str:
    """A row of :data:`SHORTFALL_COLUMNS` as a line."""
    gate, snapshot, stack, package, asked, found, reason, place = row
    what = ", ".join(str(one) for one in (gate, snapshot, stack, package) if one)
    compared = f"asked {asked}, found {found}: " if asked else ""
    return f"{place}: {what}: {compared}{reason}"


def write_reports(config: Config, layout: Layout, progress: Progress) -> Ending:
    """Write the reports of the chosen snapshots that are to be kept."""
    reports = config.reports
    skipped: list[str] = []
    chosen, _ = choose_reported(config, layout, config.out, skipped.append)
    jobs = config.workplace.jobs
    exports = export_reports(layout, config.out, reports.formats, chosen, progress, jobs) if chosen else []
    cuts = [line for export in exports for line in export.describe_cuts()]
    size = sum(export.bytes for export in exports)
    written = f"{number_of(len(exports), 'file')} of {number_of(len(chosen), 'snapshot')}"
    message = f"{written}, {size:,} bytes, in {config.out}"
    return Ending(message, DONE, skipped + cuts)


def choose_reported(config: Config, layout: Layout, out: Path, say: Say) -> tuple[list[str], list[str] | None]:
    """The snapshots whose reports a folder ``out`` is to have: of those that are chosen, those that are kept.

    Beside them all that are kept there, also of those that it has already; None where all are.
    """
    with open_database(layout) as connection:
        held = [one.name for one in list_snapshots(connection)]
        chosen = choose_snapshots(connection, config.reports.snapshots, say)
    if config.reports.keep is None:
        return chosen, None
    kept = choose_kept(out, held, chosen, config.reports.keep)
    return [name for name in chosen if name in kept], kept


def retain_reports(config: Config, layout: Layout, progress: Progress) -> Ending:
    """Remove the reports of all but the newest snapshots."""
    reports = config.reports
    if reports.keep is None:
        return Ending("all reports stay", SKIPPED)
    with open_database(layout) as connection:
        held = [one.name for one in list_snapshots(connection)]
    kept = choose_kept(config.out, held, (), reports.keep)
    removed = prune_reports(config.out, kept, progress)
    stay = f"reports of {number_of(len(kept), 'snapshot')} stay"
    return Ending(f"{stay}, {len(removed):,} removed: {', '.join(removed) or 'none'}")


def write_site(config: Config, layout: Layout, verdict: Verdict | None, day: dt.date, progress: Progress) -> Ending:
    """Write the site, its data and the reports of the snapshots that are chosen; a pruned snapshot's page stays.

    ``verdict`` is what the gates found before.
    """
    out = config.site
    if out is None:
        return Ending("none", SKIPPED)
    chosen, kept = choose_reported(config, layout, out, lambda line: None)
    jobs = config.workplace.jobs
    wanted = Wanted(
        config.reports.formats,
        chosen,
        config.base_url,
        config.gates,
        day,
        verdict,
        data=True,
        docs=config.docs,
        jobs=jobs,
    )
    if kept is not None:
        prune_reports(out, kept, progress)
    summary = publish_site(layout, out, wanted, progress)
    publish_data(layout, out, Wish(config.base_url), progress)
    return Ending(summary.describe(out), DONE, summary.list_left(out))


# Telling others


def notify(
    config: Config, outcome: Outcome, log: StepLog, today: dt.date | None, environment: Mapping[str, str]
) -> None:
    """Write and post what fails; where nothing does, no notification is left behind.

    That nobody can be notified is a message, and no other exit status.
    """
    file, variable = config.notify.file, config.notify.webhook
    well = outcome.exit_status == 0
    data = b"" if well else encode_notification(describe_outcome(config, outcome, today))
    if file is not None:
        try:
            renew_notification(file, data, log)
        except OSError as error:
            log.report("notify", FAILED, f"{file}: {error.strerror or error}")
    if well or variable is None:
        return
    url = environment.get(variable)
    if not url:
        log.report("notify", SKIPPED, f"webhook: the environment variable {variable} is not set")
        return
    began = time.monotonic()
    reason = post_notification(url, data, config.notify.timeout)
    message = f"webhook of {variable}: {reason or 'posted'}"
    log.report("notify", FAILED if reason else DONE, message, time.monotonic() - began)


def renew_notification(file: Path, data: bytes, log: StepLog) -> None:
    """Put a notification in its file; with no ``data`` remove it. What somebody else has there stays."""
    if not may_replace(file):
        log.report("notify", FAILED, f"{file}: is there, and is no notification: it stays as it is")
    elif data:
        renew_file(file, data)
        log.report("notify", DONE, str(file))
    else:
        file.unlink(missing_ok=True)


def write_run_summary(path: Path, outcome: Outcome, layout: Layout, log: StepLog) -> None:
    """Write what was found as Markdown; that it cannot be written is a message, and no other exit status."""
    steps = {step: (status, outcome.messages[step]) for step, status in outcome.statuses.items()}
    shortfalls = outcome.verdict.rows() if outcome.verdict else []
    found = Found(outcome.status, steps, outcome.failures, shortfalls, outcome.snapshot)
    try:
        # In place, not by a rename: the file may be a pipe, or one that somebody else has made and reads.
        path.write_text(summarise_run(found, layout), "utf-8")
        log.report("summary", DONE, str(path))
    except OSError as error:
        log.report("summary", FAILED, f"{path}: {error.strerror or error}")
    except duckdb.Error as error:
        log.report("summary", FAILED, f"DuckDB: {str(error).splitlines()[0]}")


def describe_outcome(config: Config, outcome: Outcome, today: dt.date | None) -> dict[str, object]:
    """What fails, as a notification; the machine's paths are not in it but as the user wrote them."""
    rows = outcome.verdict.rows() if outcome.verdict else []
    names = [name for name, _ in SHORTFALL_COLUMNS]
    lines = [*(f"{step}: {reason}" for step, reason in outcome.failures), *outcome.troubles]
    failed = [check for check in outcome.checks if check.failed]
    lines += [f"check {check.name} failed: {number_of(check.offenders, 'offender')}" for check in failed]
    if config.strict and outcome.counts.get("rejects"):
        lines.append(number_of(outcome.counts["rejects"], "reject"))
    if outcome.counts.get("snapshots") == 0:
        lines.append("no snapshot could be loaded")
    lines += [describe_shortfall(row) for row in rows]
    head = f"Spack Warehouse: {outcome.snapshot or 'no snapshot'}: {outcome.status}"
    more = [f"… and {len(lines) - 10:,} more"] if len(lines) > 10 else []
    notification: dict[str, object] = {
        "version": VERSION,
        "text": "\n".join(escape_text(line) for line in [head, *lines[:10], *more]),
        "status": outcome.status,
        "exit_status": outcome.exit_status,
        "config": Path(config.name).name,
        "snapshot": outcome.snapshot,
        "steps": outcome.statuses,
        "counts": outcome.counts,
        "failures": [{"step": step, "reason": reason} for step, reason in outcome.failures],
        "sources": outcome.troubles,
        "checks": [
            {"name": one.name, "rule": one.rule, "failed": one.failed, "offenders": one.offenders}
            for one in outcome.checks
        ],
        "shortfalls": [dict(zip(names, row, strict=True)) for row in rows[:TOLD]],
    }
    if today is not None:
        notification["date"] = today.isoformat()
    return notification
