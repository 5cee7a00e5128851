"""What leads to a site's pages from elsewhere: feeds of losses and badges, of the site, each stack and each package."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator

from pipeline.publish.badges import describe_package, describe_stack, render_badge
from pipeline.publish.facts import Row, SiteFacts, count_packages, group_rows
from pipeline.publish.feed import UNDATED, Loss, render_feed
from pipeline.publish.pages import address_of
from pipeline.report.folder import SITE, folder_of

FEED = "feed.atom"
BADGES = ("badge.svg", "badge.json")


def list_leads(
    facts: SiteFacts, packages: Iterable[Row], stacks: Iterable[str], base_url: str | None
) -> Iterator[tuple[str, bytes]]:
    """The path and content of each feed and badge; ``packages``, as rows of their list, and ``stacks`` have a page."""
    losses = list(_list_losses(facts))
    base = None if base_url is None else f"{base_url.rstrip('/')}/"
    of_package, of_stack = defaultdict(list), defaultdict(list)
    for loss in losses:
        of_stack[loss.stack].append(loss)
        for package in (loss.head, *loss.packages):
            of_package[package].append(loss)
    yield FEED, render_feed("Losses in Spack's build caches", FEED, base, losses)
    for stack in stacks:
        folder = folder_of("stack", stack)
        path = f"{folder}/{FEED}"
        yield path, render_feed(f"Losses of the stack {stack}", path, base, of_stack[stack])
        count = count_packages(facts, facts.focus, stack)
        yield from _list_badges(folder, stack, describe_stack(count), bool(count))
    total = len(facts.stacks_of(facts.focus)) if facts.focus else 0
    for package, held, unknown in ((row["package"], row["stacks"], row["unknown"]) for row in packages):
        folder = folder_of("package", package)
        path = f"{folder}/{FEED}"
        yield path, render_feed(f"Losses of {package}", path, base, of_package[package])
        yield from _list_badges(folder, package, describe_package(None if unknown else held, total), bool(held))


def list_gone_badges(kind: str, name: str) -> Iterator[tuple[str, bytes]]:
    """The badge of what is no longer in the warehouse; a snapshot has none."""
    if kind != "snapshot":
        message = describe_package(0, 0) if kind == "package" else describe_stack(0)
        yield from _list_badges(folder_of(kind, name), name, message, False)


def _list_badges(folder: str, label: str, message: str, there: bool) -> Iterator[tuple[str, bytes]]:
    for name, data in zip(BADGES, render_badge(label, message, there), strict=True):
        yield f"{folder}/{name}", data


def _list_losses(facts: SiteFacts) -> Iterator[Loss]:
    for snapshot, rows in facts.heads.items():
        day = _find_day(facts, facts.snapshot(snapshot))
        for stack, of_stack in group_rows(rows, "stack").items():
            for head, of_head in group_rows(of_stack, "head").items():
                packages = [row["package"] for row in of_head if row["package"] != head]
                yield Loss(snapshot, day, stack, head, packages, f"{address_of(folder_of('package', head))}/{SITE}")


def _find_day(facts: SiteFacts, snapshot: Row) -> dt.date:
    """The day of a snapshot, or of the one that it is compared with: develop is read daily, and lacks what it lacked.

    Of others the day on which they were read is all that is known.
    """
    before = facts.snapshot(snapshot["previous"]) if snapshot["previous"] else snapshot
    day = snapshot["date"] or snapshot["released"] or before["date"] or snapshot["read_on"]
    return dt.date.fromisoformat(day) if day else UNDATED
