"""How the commands' tables show their columns, which are named in the order of the answer.

A table has the columns that its layout names; all others are in CSV, JSON and ``--wide``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

GOOD, BAD, DOUBTFUL = "green", "red", "yellow"


@dataclass(frozen=True)
class Look:
    """How a table shows a column.

    ``kind``: a ``text`` in full; a ``hash`` as its first seven letters, as Spack does; of a ``long`` list as many names
    as there is room for, as in ``e4s +14``, and a long text on several lines; of a ``set`` likewise what not every row
    has. A column that ``stays`` is in the table also where every row has the same. Where the terminal is
    too narrow, a column that ``splits`` makes a table of its own of each run of rows in which it has the same, and of
    the others those of the highest ``rank`` are left out first, those without one never. ``styles`` are the colours of
    values.
    """

    kind: Literal["text", "hash", "long", "set"] = "text"
    stays: bool = False
    rank: int = 0
    splits: bool = False
    styles: Mapping[str, str] = field(default_factory=dict)


Layout = Mapping[str, Look]

PLAIN, STAYS = Look(), Look(stays=True)
SHORT_HASH = Look("hash", stays=True)
NAMES = Look("long", stays=True)
CHANGE = Look(stays=True, styles={"lost": BAD, "gained": GOOD})

HITS: Layout = {
    "hash": SHORT_HASH,
    "package": PLAIN,
    "version": STAYS,
    "compiler": STAYS,
    "platform": Look(rank=4),
    "os": Look(rank=3),
    "target": Look(stays=True, rank=1),
    "snapshot": Look(splits=True),
    "stacks": NAMES,
    "in_root": Look(rank=6),
    "variants": Look("set", rank=5),
    "libc": Look(rank=2),
    "installable": Look(styles={"false": BAD, "true": GOOD}),
    "namespace": Look(rank=2),
}
GAPS: Layout = {
    "snapshot": PLAIN,
    "stack": PLAIN,
    "package": STAYS,
    "platform": Look(rank=3),
    "held_by": STAYS,
    "stacks": Look("long", rank=2),
    "last_seen": Look(rank=1),
    "state": Look(stays=True, styles={"ready": GOOD, "blocked": DOUBTFUL}),
    "blocked_by": NAMES,
    "known": Look("long", stays=True),
    "expires": STAYS,
}
COVERAGE: Layout = {
    "snapshot": PLAIN,
    "stack": STAYS,
    "expected": PLAIN,
    "present": STAYS,
    "by_hash": Look(stays=True, rank=1),
    "share": Look(stays=True, styles={"1": GOOD}),
    "weighted_share": Look(stays=True, rank=2),
    "missing": NAMES,
    "causes": Look("long", stays=True, rank=3),
}
ITEMS: Layout = {
    "snapshot": PLAIN,
    "stack": PLAIN,
    "expected": Look("long", stays=True),
    "place": Look(rank=3),
    "weight": Look(stays=True, rank=2),
    "found": STAYS,
    "hash": Look("hash", stays=True, rank=1),
    "nearest": Look("long", stays=True),
    "cause": Look("long", stays=True, rank=1),
}
CHANGES: Layout = {
    "what": STAYS,
    "lost": Look("long", stays=True),
    "held_by": STAYS,
    "change": CHANGE,
    "cause": STAYS,
    "head": STAYS,
    "package": PLAIN,
    "hash": SHORT_HASH,
    "stack": PLAIN,
    "version": Look(stays=True, rank=1),
    "compiler": Look(stays=True, rank=2),
    "compiler_family": Look(stays=True, rank=6),
    "os": Look(rank=7),
    "platform": Look(rank=8),
    "target": Look(stays=True, rank=3),
    "variants": Look("set", rank=9),
    "replaced_by": Look("long", stays=True),
    "packages": STAYS,
    "count": STAYS,
    "specs": Look(stays=True, rank=4),
    "stacks": NAMES,
    "only_first": STAYS,
    "only_second": STAYS,
    "both": STAYS,
    "namespace": Look(rank=5),
}
"""Of every table of ``diff``: each has some of these columns."""
LOSSES: Layout = {**CHANGES, "cause": Look(stays=True, splits=True), "specs": Look(rank=4)}
"""Of the table of losses, which is in the order of causes."""
SHORTFALLS: Layout = {
    "gate": Look(stays=True, splits=True),
    "snapshot": PLAIN,
    "stack": STAYS,
    "package": STAYS,
    "asked": Look("long"),
    "found": Look("long", styles={"none": BAD}),
    "reason": Look("long"),
    "place": Look("long", splits=True),
}
