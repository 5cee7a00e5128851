"""What a page says of its data in words and short lists: the first rows of long ones, what all rows share said once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.ask.diff import SOURCE_MISSING, WHOLLY_LOST
from pipeline.publish.facts import Row
from pipeline.publish.grid import choose_columns, lay_out_grid

HASH = re.compile(r"[a-z2-7]{32}")
PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]*")
"""How Spack spells hashes and packages: of others no line for a shell is shown."""


def show_package(package: Mapping[str, Any]) -> Row:
    """What the page of a package shows beside its data."""
    history: Sequence[Row] = package["history"]
    holds = [row for row in history if row["versions_behind"] is not None]
    specs: Sequence[Row] = package["specs"]
    common, own = part_variants(spec["variants"] for spec in specs)
    lacks = {one["hash"]: one for one in reversed(package["missing"])}
    listed = [
        {
            **spec,
            "own": variants,
            "command": make_command(package["package"], spec["hash"]),
            "lacks": lacks.get(spec["hash"]),
        }
        for spec, variants in zip(specs, own, strict=True)
    ]
    first_seen, last_seen = find_seen(package)
    # The newest that is not known to lack something.
    choice = next((spec for spec in listed if spec["installable"] is not False), None)
    return {
        "grid": lay_out_grid(package),
        "holds": holds,
        "behind": sorted((row for row in holds if row["versions_behind"]), key=lambda row: -row["versions_behind"]),
        "unknown": [row["stack"] for row in history if row["state"] == "unknown"],
        "first_seen": first_seen,
        "last_seen": last_seen,
        "events": list_events(package),
        "versions": count_versions(package),
        "matrix": count_compilers(specs),
        "common": common,
        "specs": listed,
        "choice": choice,
        "installable": sum(spec["installable"] is True for spec in specs),
        "judged": sum(spec["installable"] is not None for spec in specs),
    }


def find_seen(package: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The first and the last snapshot in which a stack held the package; releases count where no other did."""
    snapshots = package["snapshots"]
    held = {at for row in package["history"] for at, version in enumerate(row["versions"]) if version is not None}
    line = sorted(at for at in held if snapshots[at]["series"] in ("weekly", "develop")) or sorted(held)
    return (snapshots[line[0]]["snapshot"], snapshots[line[-1]]["snapshot"]) if line else (None, None)


def is_rebuild(cause: str) -> bool:
    """Whether a stack holds the same configuration under another hash, for whatever reason."""
    return not cause.endswith(" replaced") and cause not in (*WHOLLY_LOST, SOURCE_MISSING)


def list_events(package: Mapping[str, Any]) -> list[Row]:
    """What stacks lost, gained and replaced, newest first; alike in several stacks is one event, rebuilds are none.

    ``heads`` are the lost packages with which it went, ``took`` those that went with it.
    """
    places = {one["snapshot"]: at for at, one in enumerate(package["snapshots"])}
    went = {(one["snapshot"], one["stack"]): one["head"] for one in package["went_with"]}
    took: dict[tuple[str, str], list[str]] = {}
    for one in package["took_along"]:
        took.setdefault((one["snapshot"], one["stack"]), []).append(one["package"])
    events: dict[tuple[object, ...], Row] = {}
    for one in package["changes"]:
        if one["change"] == "lost" and is_rebuild(one["cause"]):
            continue
        place = (one["snapshot"], one["stack"])
        gone = one["change"] == "lost" and one["cause"] in WHOLLY_LOST
        head = went.get(place) if gone else None
        names = ("snapshot", "before", "change", "cause", "version", "replaced_by", "variants_lost", "variants_gained")
        key = (*(str(one[name]) for name in names), head)
        event = events.setdefault(
            key,
            {
                **{name: one[name] for name in names},
                "gone": gone,
                "head": head,
                "stacks": [],
                "took": set(),
            },
        )
        if one["stack"] not in event["stacks"]:
            event["stacks"].append(one["stack"])
        if gone:
            event["took"].update(took.get(place, ()))
    listed = sorted(
        events.values(),
        key=lambda one: (-places.get(one["snapshot"], -1), not one["gone"], one["change"] == "gained", one["cause"]),
    )
    return [{**one, "took": sorted(one["took"])} for one in listed]


def count_versions(package: Mapping[str, Any]) -> list[Row]:
    """The versions of the listed specs, the newest first, each with how many stacks and specs have it."""
    versions: dict[str, Row] = {}
    for spec in package["specs"]:
        row = versions.setdefault(spec["version"], {"version": spec["version"], "stacks": set(), "specs": 0})
        row["stacks"].update(spec["stacks"])
        row["specs"] += 1
    return [{**row, "stacks": sorted(row["stacks"])} for row in versions.values()]


def count_compilers(specs: Iterable[Row]) -> Row:
    """The listed specs by compiler and target: ``rows`` of (compiler, counts) beside ``targets``."""
    counts = Counter((spec["compiler"], spec["target"]) for spec in specs)
    targets = sorted({target for _, target in counts})
    compilers = sorted({compiler for compiler, _ in counts}, key=lambda name: (name == "none", name))
    return {
        "targets": targets,
        "rows": [(name, [counts.get((name, target), 0) for target in targets]) for name in compilers],
    }


def part_variants(lists: Iterable[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """The variants that all specs have, and of each what it has beside them."""
    held = [list(variants) for variants in lists]
    shared = set.intersection(*map(set, held)) if held else set()
    return sorted(shared, key=_by_name), [[one for one in variants if one not in shared] for variants in held]


def _by_name(variant: str) -> str:
    return variant.lstrip("+~-")


def make_command(package: str, hash: str) -> str | None:
    """The line that installs one spec; None where its hash is not spelt as Spack spells them."""
    if not HASH.fullmatch(hash):
        return None
    name = package if PLAIN.fullmatch(package) else ""
    return f"spack install --cache-only {name}/{hash[:7] if name else hash}"


def draw_line(values: Sequence[int | None], width: int = 96, height: int = 22) -> Row | None:
    """A line on its own scale as the geometry of an SVG: it breaks where nothing is known.

    ``end`` is the last point; ``open`` where what came after it is not known.
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    low, high = min(known), max(known)
    step = (width - 6) / max(len(values) - 1, 1)

    def place(at: int, value: int) -> tuple[str, str]:
        share = (value - low) / (high - low) if high > low else 0.5
        return _short(3 + at * step), _short(height - 3 - share * (height - 6))

    path, before, last = [], False, ("0", "0")
    for at, value in enumerate(values):
        if value is not None:
            last = place(at, value)
            path.append(f"{'L' if before else 'M'}{last[0]} {last[1]}" + ("" if before else "h0"))
        before = value is not None
    return {"path": "".join(path), "end": last, "open": values[-1] is None, "width": width, "height": height}


CHART_HEIGHT, CHART_ZERO = 120, 98
"""Of a stack's chart: its line ends above the bars, which stand on the zero and hang from it."""


def show_stack(stack: Mapping[str, Any]) -> Row:
    """What the page of a stack shows beside its data: a column for each of the newest snapshots, a chart above them.

    A column is a row of the history with its ``label``, and whether it ``opens`` a line of snapshots; None is for weeks
    without one. ``removed_in`` is the first snapshot that is proven to lack the stack, since it was there last.
    """
    history: Sequence[Row] = stack["history"]
    columns: list[Row | None] = []
    for column in choose_columns(history):
        columns += [None] if column.apart else []
        columns.append({**history[column.at], "label": column.label, "opens": column.opens})
    last = next((at for at, one in enumerate(history) if one["snapshot"] == stack["snapshot"]), len(history))
    removed = (one["snapshot"] for one in history[last + 1 :] if one["state"] == "removed")
    return {"columns": columns, "chart": draw_chart(columns), "removed_in": next(removed, None)}


def draw_chart(columns: Sequence[Row | None]) -> Row | None:
    """The packages of a stack as a line, and below it what it gained and lost as bars; as the geometry of an SVG.

    A column is 100 wide. None where fewer than two columns have a number.
    """
    known = [column["packages"] for column in columns if column and column["packages"] is not None]
    if len(known) < 2:
        return None
    low, high = min(known), max(known)
    most = max([1, *(column[key] for column in columns if column for key in ("gained", "lost"))])
    path, dots, gained, lost, joined = "", "", [], [], False
    for at, column in enumerate(columns):
        if column is None or column["packages"] is None:
            joined = False
            continue
        share = (column["packages"] - low) / (high - low) if high > low else 0.5
        place = f"{at * 100 + 50} {_short(68 - share * 58)}"
        path += f"{'L' if joined and not column['opens'] else 'M'}{place}"
        dots += f"M{place}h0"
        joined = True
        bar = {"x": at * 100 + 38, "width": 24}
        if column["gained"]:
            tall = column["gained"] / most * 20
            gained.append({**bar, "y": _short(CHART_ZERO - tall), "height": _short(tall)})
        if column["lost"]:
            lost.append({**bar, "y": str(CHART_ZERO), "height": _short(column["lost"] / most * 20)})
    size = {"width": len(columns) * 100, "height": CHART_HEIGHT, "zero": CHART_ZERO, "low": low, "high": high}
    return {**size, "path": path, "dots": dots, "gained": gained, "lost": lost}


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
