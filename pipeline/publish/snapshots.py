"""What became of a snapshot: its verdict, what each stack lost and gained, losses under their heads.

The page of each snapshot shows it, and the front page that of the snapshot that the site is about.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.ask.diff import CAUSES, judge_change
from pipeline.publish.facts import TREND, Row, SiteFacts, count_packages, group_rows, list_weeks, share_kept
from pipeline.store.state import LOADED


def describe_snapshot(facts: SiteFacts, name: str) -> Row:
    """What the page of a snapshot shows, and the front page of its newest one.

    ``verdict`` is None where there is nothing to compare it with, else what :func:`judge_change` says of the packages
    that are proven to have come and left; ``unknown`` are those that are gone without proof, ``unknown_before`` those
    that are there and may have been there before.
    """
    this = facts.snapshot(name)
    before = facts.snapshot(this["previous"]) if this["previous"] else None
    moved = facts.moved.get(name, [])
    came = [one["package"] for one in moved if one["change"] == "gained" and not one["unknown"]]
    left = [one["package"] for one in moved if one["change"] == "lost" and not one["unknown"]]
    unknown, unknown_before = (
        [one["package"] for one in moved if one["change"] == change and one["unknown"]] for change in ("lost", "gained")
    )
    gains = group_rows(facts.gains.get(name, []), "package")
    causes = sorted(
        ({key: row[key] for key in row if key != "snapshot"} for row in facts.causes.get(name, [])),
        key=lambda row: (CAUSES.index(row["cause"]) if row["cause"] in CAUSES else len(CAUSES), row["cause"]),
    )
    return {
        **this,
        "stacks_held": len(facts.stacks_of(name)),
        "before": before and {**before, "stacks_held": len(facts.stacks_of(before["snapshot"]))},
        "verdict": before and judge_change(len(came), len(left), before["packages"], len(unknown)),
        "came": came,
        "left": left,
        "unknown": unknown,
        "unknown_before": unknown_before,
        "stacks": describe_stacks(facts, name),
        "losses": list_losses(facts, name),
        "causes": causes,
        "kept": count_kept(facts, this),
        "trends": draw_trends(facts, list_weeks(facts, name, TREND)),
        "gains": [
            {"package": package, "stacks": [row["stack"] for row in rows], "new": package in came}
            for package, rows in sorted(gains.items(), key=lambda item: (item[0] not in came, item[0]))
        ],
        "newer": [{key: row[key] for key in row if key != "snapshot"} for row in facts.newer.get(name, [])],
        "troubles": [
            {key: row[key] for key in row if key != "snapshot"}
            for row in facts.sources.get(name, [])
            if row["state"] != LOADED
        ],
    }


def count_kept(facts: SiteFacts, this: Row) -> float | None:
    """The share of the specs that the stacks held before and still hold; None where it is not known of any."""
    held = [row for (snapshot, _), row in facts.stacks.items() if snapshot == this["previous"]]
    return share_kept(held, [row for (snapshot, _), row in facts.turnover.items() if snapshot == this["snapshot"]])


def draw_trends(facts: SiteFacts, weeks: Sequence[str | None]) -> Row:
    """Packages, specs and stacks of snapshots; None for weeks without one."""
    rows = [facts.snapshot(week) if week is not None else None for week in weeks]
    trends: Row = {key: [row and row[key] for row in rows] for key in ("packages", "specs")}
    return {**trends, "stacks": [len(facts.stacks_of(week)) if week is not None else None for week in weeks]}


def describe_stacks(facts: SiteFacts, name: str) -> list[Row]:
    """A row per stack that a snapshot or the one before it holds: those not known first, then the most changed."""
    previous = facts.snapshot(name)["previous"]
    weeks = list_weeks(facts, name, TREND)
    heads = group_rows(facts.heads.get(name, []), "stack")
    gains = group_rows(facts.gains.get(name, []), "stack")
    stacks = sorted({*facts.stacks_of(name), *(facts.stacks_of(previous) if previous else [])})
    rows = []
    for stack in stacks:
        now, before = facts.stacks.get((name, stack)), facts.stacks.get((previous, stack))
        moved = facts.turnover.get((name, stack))
        state = facts.states.get((name, stack), "unknown")
        known = state != "unknown" and previous is not None
        packages = now["packages"] if now else 0
        rows.append(
            {
                "stack": stack,
                "state": state,
                "packages": packages if known or now else before and before["packages"],
                "specs": now["specs"] if now else 0,
                "change": packages - (before["packages"] if before else 0) if known else None,
                "gained": moved["gained"] if moved else 0,
                "lost": moved["lost"] if moved else 0,
                "unknown": moved["unknown"] if moved else 0,
                "replaced": moved["replaced"] if moved else 0,
                "rebuilt": moved["rebuilt"] if moved else 0,
                "kept": share_kept([before], [moved]) if known else None,
                "trend": [count_packages(facts, week, stack) for week in weeks],
                "losses": list_heads(heads.get(stack, [])),
                "gains": [row["package"] for row in gains.get(stack, [])],
            }
        )
    return sorted(
        rows, key=lambda row: (row["state"] != "unknown", -row["lost"] - row["gained"], -row["replaced"], row["stack"])
    )


def list_heads(rows: Sequence[Row]) -> list[Row]:
    """Losses of one stack by their head: those with the most that went with them first."""
    heads = group_rows(rows, "head")
    listed = [
        {"head": head, "packages": [row["package"] for row in of if row["package"] != head]}
        for head, of in heads.items()
    ]
    return sorted(listed, key=lambda one: (-len(one["packages"]), one["head"]))


def list_losses(facts: SiteFacts, name: str) -> list[Row]:
    """Losses of all stacks by their head: that first with which the most left, over all stacks.

    ``times`` counts each package once for each stack that lost it; ``still_in`` are the stacks that hold the head.
    """
    listed = []
    for head, rows in group_rows(facts.heads.get(name, []), "head").items():
        listed.append(
            {
                "head": head,
                "stacks": sorted({row["stack"] for row in rows}),
                "packages": sorted({row["package"] for row in rows} - {head}),
                "times": len(rows),
                "still_in": facts.held.get((name, head), 0),
            }
        )
    return sorted(listed, key=lambda one: (-one["times"], one["head"]))
