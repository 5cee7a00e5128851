"""Write the site of a warehouse: which files it has, what of them is made anew, and what is gone and keeps its page.

::

    index.html  front.json              what is new, better or worse, and all snapshots
    package/NAME/  stack/NAME/          index.html, and index.json with all that it shows
    snapshot/NAME/                      the same, and changes.json: every difference to the snapshot before
    package/  stack/                    lists of them all
    latest/index.html                   leads to the newest snapshot
    SNAPSHOT/  index.json  files.html   the reports, as pipeline.report.export writes them, and the list of their files
    feed.atom                           losses, of the site and of each package and stack in its folder
    badge.svg  badge.json               in the folders of packages and stacks
    site.css  site.js  site.json        what every page loads; what was written, and of what
    status.json                         how new the site is
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import jinja2
import msgspec

from pipeline.ask.gates import Verdict, judge
from pipeline.io.disk import renew_file
from pipeline.io.progress import Progress, number_of
from pipeline.layout import Layout
from pipeline.publish import packages, pages, stacks
from pipeline.publish.facts import Row, SiteFacts, read_facts, stream_rows
from pipeline.publish.front import brief_package, brief_stack, describe_front
from pipeline.publish.leads import FEED, list_gone_badges, list_leads
from pipeline.publish.snapshots import describe_snapshot
from pipeline.publish.status import STATUS, encode_status, make_status, read_status
from pipeline.publish.writer import Manifest, SiteWriter, list_reports, read_manifest, refuse_others, writing
from pipeline.report.export import export_reports
from pipeline.report.folder import INDEX, MANIFEST, SITE, ReportFolder, encode, folder_of
from pipeline.report.inputs import digest_program, digest_warehouse
from pipeline.store.database import find_database, open_database
from pipeline.store.state import read_looked_on

if TYPE_CHECKING:
    from pipeline.settings import Gates

FORMATS = ("csv", "parquet", "markdown", "html")
"""Of the snapshots' reports, where no others are asked for."""
DATA = 3
"""What is in the JSON of a page: of another number it is not shown again, and its old page stays."""
CHANGES = """
select stack, package, change, cause, version, compiler, target, replaced_by, specs, variants_lost,
    variants_gained
from changes where to_snapshot = $snapshot
order by stack, package, change, cause, version, compiler, target, replaced_by
"""
_UNREADABLE = (jinja2.TemplateError, LookupError, TypeError, ValueError, AttributeError, msgspec.DecodeError)


@dataclass(frozen=True)
class Wanted:
    """How a site is to be: its address, the formats of the reports of ``snapshots`` (None: of all), and
    gates with the day on which they judge, or the ``verdict`` where they judged this warehouse on that day already;
    whether the front page leads to published ``data``, and to the page to ask in SQL, ``query``, which others write;
    the address of the documentation, ``docs``, which it leads to; and in how many processes reports are written
    (None: one a processor).
    """

    formats: Sequence[str] = FORMATS
    snapshots: Sequence[str] | None = None
    base_url: str | None = None
    gates: Gates | None = None
    today: dt.date | None = None
    verdict: Verdict | None = None
    data: bool = False
    query: bool = False
    docs: str | None = None
    jobs: int | None = None


@dataclass(frozen=True)
class SiteSummary:
    """What a site holds, and how many of its ``files`` were written; ``left`` are old pages that stay as they were."""

    packages: int
    stacks: int
    snapshots: int
    files: int
    written: int
    left: Sequence[str] = ()

    def describe(self, out: Path) -> str:
        """What the site in ``out`` holds, as a line."""
        held = [(self.packages, "package"), (self.stacks, "stack"), (self.snapshots, "snapshot")]
        listed = ", ".join(number_of(number, noun) for number, noun in held)
        return f"{listed} in {out}: {number_of(self.files, 'file')}, {self.written:,} written"

    def list_left(self, out: Path) -> list[str]:
        """A line for each old page that stays as it was."""
        return [f"left as it was, since its data are of another version: {out / one}" for one in self.left]


def publish_site(layout: Layout, out: Path, wanted: Wanted, progress: Progress | None = None) -> SiteSummary:
    """Write the site of a warehouse to ``out``; where nothing that it is made of changed, nothing is done.

    Raises:
        NoWarehouseError: there is no warehouse.
        WarehouseError: what would be replaced was not written here.
        FileFaultsError: a file that the gates name is wrong.
        OSError: a file cannot be written.
    """
    find_database(layout)
    layout.refuse_inside(out)
    progress = progress or Progress()
    folder, last = ReportFolder(out), read_manifest(out)
    program = digest_look(wanted)
    inputs = digest_inputs(layout, program, wanted)
    if last is not None and inputs and last.inputs == inputs and last.is_whole(out) and renew_status(layout, out):
        return summarise(last, 0, ())
    if last is None:
        refuse_others(out)
        # From here on reports know that the folder is a site's, whatever becomes of this run.
        renew_file(out / MANIFEST, encode(Manifest()))
    export_reports(layout, out, wanted.formats, wanted.snapshots, progress, wanted.jobs)
    with (
        folder.hold(partial(progress.wait, out, "export")),
        open_database(layout) as connection,
        writing(out) as writer,
    ):
        known = last if last is not None and last.program == program else Manifest()
        site = Site(connection, read_facts(connection), folder, writer, known, wanted)
        site.write(progress)
        sources = [row for rows in site.facts.sources.values() for row in rows]
    manifest = Manifest(inputs, program, dict(sorted(writer.files.items())), site.reports)
    encoded = encode(manifest)
    renew_file(out / MANIFEST, encoded)
    status = make_status(sources, find_newest_week(site.facts), read_looked_on(layout.current), encoded)
    renew_file(out / STATUS, status)
    return summarise(manifest, len(writer.written), site.left)


def renew_status(layout: Layout, out: Path) -> bool:
    """Say that an unchanged site was looked at again; returns whether it had said anything before."""
    try:
        status = read_status((out / STATUS).read_bytes())
    except (OSError, ValueError):
        return False
    renew_file(out / STATUS, encode_status(status, read_looked_on(layout.current)))
    return True


def find_newest_week(facts: SiteFacts) -> dt.date | None:
    """The date of the newest weekly snapshot; None where there is none."""
    dates = [dt.date.fromisoformat(one["date"]) for one in facts.snapshots if one["series"] == "weekly"]
    return max(dates, default=None)


def summarise(manifest: Manifest, written: int, left: Sequence[str]) -> SiteSummary:
    folders = [path.split("/") for path in manifest.files if path.endswith(f"/{SITE}")]
    counts = Counter(parts[0] for parts in folders if len(parts) == 3)
    files = len(manifest.files) + len(manifest.reports)
    return SiteSummary(counts["package"], counts["stack"], counts["snapshot"], files, written, left)


def digest_look(wanted: Wanted) -> str:
    """A digest of all that a page depends on besides its data."""
    look = f"{digest_program()} {DATA} {wanted.base_url} {wanted.data} {wanted.query} {wanted.docs}"
    return hashlib.sha256(look.encode()).hexdigest()


def digest_inputs(layout: Layout, program: str, wanted: Wanted) -> str:
    """A digest of all that a site is made of; empty where the warehouse does not say of what it is."""
    warehouse = digest_warehouse(layout)
    inputs = (warehouse, program, list(wanted.formats), wanted.snapshots, list_gate_inputs(wanted))
    return hashlib.sha256(repr(inputs).encode()).hexdigest() if warehouse is not None else ""


def list_gate_inputs(wanted: Wanted) -> list[str]:
    """What the gates' verdict depends on besides the warehouse: themselves, lists of what is expected, the day."""
    if wanted.gates is None:
        return []
    lists = sorted({gate.expected for gate in wanted.gates.coverage if gate.expected is not None})
    # A list that cannot be read is for the gates to report.
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "" for path in lists]
    return [repr(wanted.gates), str(wanted.today), *digests]


def find_verdict(connection: duckdb.DuckDBPyConnection, wanted: Wanted) -> Verdict | None:
    """The verdict of the gates, if there are any.

    Raises:
        FileFaultsError: a file that they name is wrong.
    """
    if wanted.verdict is not None or wanted.gates is None:
        return wanted.verdict
    return judge(connection, wanted.gates, wanted.today or dt.datetime.now(dt.UTC).date())


class Site:
    """One writing of a site's pages; ``left`` are old pages that could not be shown again and stay as they are."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        facts: SiteFacts,
        folder: ReportFolder,
        writer: SiteWriter,
        known: Manifest,
        wanted: Wanted,
    ) -> None:
        self.connection, self.facts, self.writer, self.wanted = connection, facts, writer, wanted
        self.known, self.out, self.left = known, folder.root, list[str]()
        self.reports: dict[str, int] = {}
        self.files: dict[str, list[str]] = {}
        for path, index in folder.read_indexes():
            listed = list_reports(folder.root, path, index)
            self.reports.update(listed)
            self.files[index["snapshot"]] = sorted(listed)

    def write(self, progress: Progress) -> None:
        """Give the writer every file."""
        progress.stage("writing pages", len({package for _, package in self.facts.held}), "package")
        listed = []
        for package in packages.describe_packages(self.connection, self.facts):
            listed.append(self.write_package(package))
            progress.advance(1)
        held = list(listed)
        listed += [brief_package(one) for one in self.write_gone("package")]
        focus = {"focus": self.facts.focus}
        self.write_page("package", {"kind": "packages", **focus, "packages": sorted(listed, key=itemgetter("package"))})
        listed = [self.write_stack(one) for one in stacks.describe_stack_pages(self.connection, self.facts)]
        stacks_held = [one["stack"] for one in listed]
        listed += [brief_stack(one) for one in self.write_gone("stack")]
        self.write_page("stack", {"kind": "stacks", **focus, "stacks": sorted(listed, key=itemgetter("stack"))})
        snapshots = {one["snapshot"]: self.write_snapshot(one["snapshot"]) for one in self.facts.snapshots}
        for one in self.write_gone("snapshot"):
            snapshots[one["snapshot"]] = one
        front = describe_front(self.connection, self.facts, snapshots, find_verdict(self.connection, self.wanted))
        front |= {"data": self.wanted.data, "query": self.wanted.query, "docs": self.wanted.docs}
        self.write_page("", front)
        for path, data in list_other_files(front, self.wanted):
            self.writer.add(path, data)
        for path, data in list_leads(self.facts, held, stacks_held, self.wanted.base_url):
            self.writer.add(path, data)

    def write_page(self, folder: str, data: Row) -> None:
        """Give the writer a page and its data. A page whose data are as they were is not made anew."""
        prefix = f"{folder}/" if folder else ""
        name = "front.json" if data["kind"] == "front" else INDEX
        same = self.writer.add(f"{prefix}{name}", msgspec.json.encode({**data, "format": DATA}) + b"\n")
        page = f"{prefix}{SITE}"
        if same and self.known.holds(self.out, page):
            self.writer.keep(page)
        else:
            self.writer.add(page, pages.render_page(data, self.wanted.base_url))

    def write_package(self, package: Row) -> Row:
        self.write_page(folder_of("package", package["package"]), package)
        return brief_package(package)

    def write_stack(self, stack: Row) -> Row:
        self.write_page(folder_of("stack", stack["stack"]), stack)
        return brief_stack(stack)

    def write_snapshot(self, name: str) -> Row:
        """Give the writer the pages of a snapshot, and every difference to the one before it."""
        described = describe_snapshot(self.facts, name)
        data = {"kind": "snapshot", **described, "gone": False, "report": self.find_report(name)}
        folder = folder_of("snapshot", name)
        if previous := described["previous"]:
            changes = list(stream_rows(self.connection, CHANGES, {"snapshot": name}))
            encoded = msgspec.json.encode({"from_snapshot": previous, "to_snapshot": name, "changes": changes})
            self.writer.add(f"{folder}/changes.json", encoded + b"\n")
        self.write_page(folder, data)
        return data

    def find_report(self, snapshot: str) -> str | None:
        """The path of a snapshot's report, where it is in the folder; as an address."""
        files = self.files.get(snapshot, ())
        return next((pages.address_of(path) for path in files if path.endswith("/report.html")), None)

    def write_gone(self, kind: str) -> Iterator[Row]:
        """Show again what is no longer in the warehouse, by the data that stand in the folder."""
        for index in sorted(self.out.glob(f"{kind}/*/{INDEX}")):
            folder = index.parent.relative_to(self.out).as_posix()
            if f"{folder}/{INDEX}" in self.writer.files:
                continue
            try:
                data = msgspec.json.decode(index.read_bytes())
                if data.pop("format") != DATA or data["kind"] != kind or folder_of(kind, data[kind]) != folder:
                    raise ValueError(folder)
                data["gone"] = True
                if kind == "snapshot":
                    data["report"] = self.find_report(data["snapshot"])
                self.write_page(folder, data)
            except _UNREADABLE:
                self.left.append(folder)
                for path in sorted(index.parent.iterdir()):
                    self.writer.keep(path.relative_to(self.out).as_posix())
                continue
            for name in ("changes.json", FEED):
                if (index.parent / name).is_file():
                    self.writer.keep(f"{folder}/{name}")
            for badge_path, badge in list_gone_badges(kind, data[kind]):
                self.writer.add(badge_path, badge)
            yield data


def list_other_files(front: Row, wanted: Wanted) -> Iterator[tuple[str, bytes]]:
    """The files of a site that are neither page nor data of one: what pages load, and what leads to them."""
    for name in pages.STATIC:
        yield name, pages.read_static(name)
    newest = next((one for one in front["snapshots"] if one["snapshot"] == front["newest"]), None)
    if newest is not None:
        place = newest["report"] or f"{pages.address_of(folder_of('snapshot', newest['snapshot']))}/{SITE}"
        latest = {"kind": "latest", "snapshot": newest["snapshot"], "target": f"../{place}"}
        yield f"latest/{SITE}", pages.render_page(latest, wanted.base_url)
