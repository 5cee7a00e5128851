"""What pages say, counted in plain Python from their Markdown: nothing here knows of the warehouse, SQL or frames.

Tests hold the site's numbers to these. A spec is a page's own mapping; versions are numbers and dots alone.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

Spec = dict[str, Any]
Place = tuple[str, str]
"""A stack and a package that it holds."""


def read_front_matter(path: Path) -> dict[str, Any]:
    """The keys of a page: a line each, whose values are JSON but for the few that are plain words."""
    found: dict[str, Any] = {}
    for line in path.read_text().splitlines():
        if line in ("", "---"):
            continue
        key, _, value = line.partition(": ")
        if value.startswith("[package,"):
            found[key] = [word.strip().strip('"') for word in value.strip("[]").split(",")]
        else:
            found[key] = json.loads(value) if value[0] in '"[{' else value
    return found


def order_version(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def kind_of(snapshot: str) -> str:
    """The line of snapshots in which one stands; develop is the last of the weekly ones."""
    if snapshot.startswith("develop"):
        return "develop"
    return "release" if snapshot.startswith("v") else "other"


def order_snapshot(snapshot: str) -> tuple[object, ...]:
    if snapshot.startswith("v"):
        return order_version(snapshot[1:])
    return snapshot == "develop", snapshot


class PlainPages:
    """The pages below a folder: ``specs`` by snapshot and package, those of no stack but root included."""

    def __init__(self, folder: Path) -> None:
        self.specs: dict[str, dict[str, list[Spec]]] = defaultdict(dict)
        for path in sorted(folder.rglob("*.md")):
            page = read_front_matter(path)
            self.specs[page["categories"][1]][page["title"]] = page["spec_details"]

    @cached_property
    def held(self) -> dict[str, dict[Place, dict[str, Spec]]]:
        """By snapshot what each stack holds of each package, by hash."""
        held: dict[str, dict[Place, dict[str, Spec]]] = {}
        for snapshot, packages in self.specs.items():
            places: dict[Place, dict[str, Spec]] = defaultdict(dict)
            for package, specs in packages.items():
                for spec in specs:
                    for stack in set(spec["stacks"]) - {"root"}:
                        places[stack, package][spec["hash"]] = spec
            held[snapshot] = dict(places)
        return held

    def packages(self, snapshot: str, stack: str | None = None) -> set[str]:
        return {package for of, package in self.held[snapshot] if stack in (None, of)}

    def stacks(self, snapshot: str) -> set[str]:
        return {stack for stack, _ in self.held[snapshot]}

    def all_stacks(self) -> set[str]:
        return set().union(*map(self.stacks, self.held))

    def stack_specs(self, snapshot: str, stack: str) -> dict[str, Spec]:
        """The specs of a stack by hash, each with its ``package``."""
        return {
            hash: {**spec, "package": package}
            for (of, package), specs in self.held[snapshot].items()
            if of == stack
            for hash, spec in specs.items()
        }

    def hashes(self, snapshot: str) -> set[str]:
        """Those that at least one stack holds."""
        return {hash for specs in self.held[snapshot].values() for hash in specs}

    def stacks_ever(self, package: str) -> set[str]:
        """The stacks that held a package in some snapshot."""
        return {stack for held in self.held.values() for stack, one in held if one == package}

    def line(self, snapshot: str) -> list[str]:
        """The snapshots of its line, the oldest first."""
        return sorted((one for one in self.specs if kind_of(one) == kind_of(snapshot)), key=order_snapshot)

    def previous(self, snapshot: str) -> str | None:
        line = self.line(snapshot)
        place = line.index(snapshot)
        return line[place - 1] if place else None

    def focus(self) -> str:
        return max(one for one in self.specs if one.startswith("develop-"))

    def is_absence_proven(self, snapshot: str, other: str, package: str) -> bool:
        """Whether a snapshot's pages show that it lacks what another has: its page, or pages of half of the others."""
        here, there = self.specs[snapshot], self.specs[other]
        return package in here or 2 * len(here.keys() & there.keys()) >= len(there)

    def state(self, snapshot: str, stack: str) -> str:
        if stack in self.stacks(snapshot):
            return "held"
        line = self.line(snapshot)
        earlier = [one for one in line[: line.index(snapshot)] if stack in self.stacks(one)]
        if not earlier:
            return "not begun"
        had = self.packages(earlier[-1], stack)
        proven = sum(self.is_absence_proven(snapshot, earlier[-1], package) for package in had)
        return "removed" if 2 * proven >= len(had) else "unknown"

    def is_known(self, snapshot: str, stack: str, package: str) -> bool:
        """Whether a stack is known to have a package or not: it is not where it was gone without proof, since then."""
        if self.state(snapshot, stack) == "unknown":
            return False
        before = self.previous(snapshot)
        if (stack, package) in self.held[snapshot] or before is None:
            return True
        if (stack, package) in self.held[before]:
            return self.is_absence_proven(snapshot, before, package)
        return package in self.packages(snapshot) or self.is_known(before, stack, package)

    def moved(self, snapshot: str, stack: str | None = None) -> dict[str, set[str]]:
        """The packages that ``came`` to a stack or to any, that ``left``, and whose loss or gain is ``unknown``."""
        before = self.previous(snapshot)
        moved: dict[str, set[str]] = {name: set() for name in ("came", "left", "unknown", "unknown gains")}
        if before is None:
            return moved
        had, has = self.packages(before, stack), self.packages(snapshot, stack)
        for package in had - has:
            proven = self.is_absence_proven(snapshot, before, package)
            moved["left" if proven else "unknown"].add(package)
        for package in has - had:
            proven = self.is_absence_proven(before, snapshot, package)
            moved["came" if proven else "unknown gains"].add(package)
        return moved

    def gone_specs(self, snapshot: str) -> Iterator[tuple[Place, Spec, str]]:
        """Each spec that is missing from a stack that held it before, with the cause."""
        before = self.previous(snapshot)
        for place, specs in self.held[before].items() if before else ():
            now = self.held[snapshot].get(place, {})
            for hash in specs.keys() - now.keys():
                yield place, specs[hash], self._find_cause(snapshot, str(before), place, specs[hash])

    def _find_cause(self, snapshot: str, before: str, place: Place, spec: Spec) -> str:
        now = self.held[snapshot].get(place, {})
        if not now:
            if not self.is_absence_proven(snapshot, before, place[1]):
                return "source missing"
            return "package gone from the stack" if place[0] in self.stacks(snapshot) else "stack removed"
        # The nearest differs in the fewest; of those that differ in as many the gravest difference counts.
        differing = min((find_differences(spec, one) for one in now.values()), key=lambda found: (len(found), found))
        names = ("version", "compiler", "target", "os", "variant")
        return f"{names[differing[0]]} replaced" if differing else "unknown"

    def kept(self, snapshot: str, stack: str | None = None) -> float | None:
        """Which share of the specs before, each in each of its stacks, is still there; of those that are known."""
        before = self.previous(snapshot)
        still, judged = 0, 0
        for place, specs in self.held[before].items() if before else ():
            now = self.held[snapshot].get(place, {})
            if stack in (None, place[0]) and (now or self.is_absence_proven(snapshot, str(before), place[1])):
                judged += len(specs)
                still += len(specs.keys() & now.keys())
        return still / judged if judged else None

    def latest(self, snapshot: str, package: str, stack: str | None = None) -> str | None:
        """The newest version of a package in a stack, or in any."""
        versions = {
            spec["versions"][0]
            for (of, name), specs in self.held[snapshot].items()
            if name == package and stack in (None, of)
            for spec in specs.values()
        }
        return max(versions, key=order_version, default=None)

    def behind(self, snapshot: str, package: str, stack: str) -> int:
        """How many newer versions other stacks hold."""
        held = {
            spec["versions"][0]
            for (_, name), specs in self.held[snapshot].items()
            if name == package
            for spec in specs.values()
        }
        latest = self.latest(snapshot, package, stack)
        assert latest is not None
        return sum(order_version(one) > order_version(latest) for one in held)

    def gaps(self, snapshot: str) -> set[tuple[str, str, str, int]]:
        """(stack, package, platform, how many others of the platform have it there)."""
        held = {
            (stack, spec["platform"], package)
            for (stack, package), specs in self.held[snapshot].items()
            for spec in specs.values()
        }
        builders = {(stack, platform) for stack, platform, _ in held}
        by = Counter((platform, package) for _, platform, package in held)
        return {
            (stack, package, platform, number)
            for (platform, package), number in by.items()
            for stack, builds in builders
            if builds == platform and (stack, platform, package) not in held
        }

    def redundant(self, snapshot: str, stack: str) -> int:
        """Specs of a stack less those that differ in something beside the hash."""
        specs = self.stack_specs(snapshot, stack).values()
        keys = ("package", "versions", "compiler", "os", "platform", "target", "variants")
        return len(specs) - len({json.dumps([spec[key] for key in keys]) for spec in specs})

    def weeks(self, snapshot: str, most: int) -> list[str | None]:
        """The last snapshots of the line up to one; None where a calendar week has none."""
        line = self.line(snapshot)
        upto = line[: line.index(snapshot) + 1]
        weeks: list[str | None] = [upto[0]]
        for before, this in pairwise(upto):
            if this != "develop" and before.startswith("develop-"):
                days = [dt.date.fromisoformat(one.removeprefix("develop-")) for one in (before, this)]
                mondays = [day - dt.timedelta(day.weekday()) for day in days]
                weeks += [None] if mondays[1] - mondays[0] > dt.timedelta(7) else []
            weeks.append(this)
        return weeks[-most:]


def find_differences(one: Spec, other: Spec) -> list[int]:
    """In which of version, compiler, target, os and variants two specs differ, by their places."""
    compilers = {one["compiler"].replace("@=", "@"), other["compiler"].replace("@=", "@")}
    differs = (
        one["versions"] != other["versions"],
        len(compilers) == 2 and "none" not in compilers,
        one["target"] != other["target"],
        (one["os"], one["platform"]) != (other["os"], other["platform"]),
        sorted(one["variants"]) != sorted(other["variants"]),
    )
    return [place for place, differ in enumerate(differs) if differ]
