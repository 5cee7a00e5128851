"""What the front page and the lists of packages and stacks show: a row for each page of the site."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

import duckdb

from pipeline.ask.gates import Verdict
from pipeline.ask.scope import list_snapshots
from pipeline.publish.facts import Row, SiteFacts


def brief_package(one: Row) -> Row:
    """A package's row in the list of all; it is unknown where no stack is known to hold it, and one may."""
    held = sum(row["versions_behind"] is not None for row in one["history"])
    gone = one["gone"]
    return {
        "package": one["package"],
        "stacks": 0 if gone else held,
        "newest_version": None if gone else one["newest_version"],
        "gone": gone,
        "unknown": not gone and not held and any(row["state"] == "unknown" for row in one["history"]),
    }


def brief_stack(one: Row) -> Row:
    """A stack's row in the list of all."""
    state = "gone" if one["gone"] else one["state"]
    return {"stack": one["stack"], "state": state, **{key: one[key] for key in ("snapshot", "packages", "specs")}}


def brief_snapshot(one: Row) -> Row:
    """A snapshot's row in the list of all: counts in place of names."""
    keys = (
        "snapshot",
        "series",
        "date",
        "released",
        "read_on",
        "packages",
        "specs",
        "stacks_held",
        "previous",
        "verdict",
        "report",
    )
    return {
        **{key: one[key] for key in (*keys, "gone")},
        "change": one["packages"] - one["before"]["packages"] if one["before"] else None,
        "came": len(one["came"]),
        "left": len(one["left"]),
        "unknown": len(one["unknown"]),
        "troubles": len(one["troubles"]),
    }


MOVERS = 3
"""Stacks that the front page names first."""


def describe_front(
    connection: duckdb.DuckDBPyConnection, facts: SiteFacts, snapshots: Mapping[str, Row], verdict: Verdict | None
) -> Row:
    """What the front page shows: the site's own snapshot whole, the newest of the other series, and a row for each."""
    held = [one.name for one in list_snapshots(connection)]
    focus = snapshots[facts.focus] if facts.focus else None
    briefs = [brief_snapshot(one) for one in order_snapshots(snapshots.values(), held)]
    newest: dict[str, Row] = {}
    for one in briefs:
        if not one["gone"]:
            newest.setdefault(one["series"], one)
    rows = focus["stacks"] if focus else []
    moved = [row for row in rows if row["lost"] or row["gained"]]
    return {
        "kind": "front",
        "newest": held[0] if held else None,
        "focus": focus,
        "movers": sorted(moved, key=lambda row: (-row["lost"], -row["gained"], row["stack"]))[:MOVERS],
        "unknown_stacks": [row for row in rows if row["state"] == "unknown"],
        "others": [one for one in newest.values() if one["snapshot"] != facts.focus],
        "troubles": [*(focus["troubles"] if focus else []), *facts.sources.get(None, [])],
        "source_names": sorted({one["source"] for of in facts.sources.values() for one in of if one["source"]}),
        "gates": describe_verdict(verdict),
        "snapshots": briefs,
    }


def order_snapshots(snapshots: Iterable[Row], held: list[str]) -> list[Row]:
    """Snapshots, the newest first: develop, then those whose day is known, a release among weekly ones.

    Of the others the order is that of ``held``, and those that are gone come last.
    """
    places = {name: at for at, name in enumerate(held)}

    def rank(one: Row) -> tuple[object, ...]:
        day = one["date"] or one["released"]
        place = places.get(one["snapshot"], len(places))
        known = -dt.date.fromisoformat(day).toordinal() if day else 0
        return one["series"] != "develop", day is None, known, place, one["snapshot"]

    return sorted(snapshots, key=rank)


def describe_verdict(verdict: Verdict | None) -> Row | None:
    """What gates found, if there are any."""
    if verdict is None:
        return None
    return {
        "summary": verdict.summary().removeprefix(f"{verdict.gates.name}: "),
        "failed": bool(verdict.shortfalls),
        "shortfalls": [
            " ".join(filter(None, (one.gate, one.stack, one.package, one.reason))) for one in verdict.shortfalls
        ],
    }
