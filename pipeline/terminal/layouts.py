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
    narrow, the columns of the highest ``rank`` are left out first, those without one never. ``styles`` are the colours
    of values.
    """

    kind: Literal["text", "hash", "long", "set"] = "text"
    stays: bool = False
    rank: int = 0
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
    "platform": Look(rank=3),
    "os": Look(rank=2),
    "target": STAYS,
    "snapshot": PLAIN,
    "stacks": NAMES,
    "in_root": Look(rank=5),
    "variants": Look("set", rank=4),
    "libc": Look(rank=1),
    "installable": Look(styles={"false": BAD, "true": GOOD}),
    "namespace": Look(rank=1),
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
    "package": PLAIN,
    "hash": SHORT_HASH,
    "stack": PLAIN,
    "version": STAYS,
    "compiler": STAYS,
    "compiler_family": Look(stays=True, rank=2),
    "os": Look(rank=3),
    "platform": Look(rank=4),
    "target": STAYS,
    "variants": Look("set", rank=5),
    "replaced_by": Look("long", stays=True),
    "packages": STAYS,
    "count": STAYS,
    "specs": STAYS,
    "stacks": NAMES,
    "only_first": STAYS,
    "only_second": STAYS,
    "both": STAYS,
    "namespace": Look(rank=1),
}
"""Of every table of ``diff``: each has some of these columns."""
SHORTFALLS: Layout = {
    "gate": STAYS,
    "snapshot": PLAIN,
    "stack": STAYS,
    "package": STAYS,
    "asked": Look("long", stays=True),
    "found": Look("long", stays=True, styles={"none": BAD}),
    "reason": Look("long"),
    "place": Look("long", rank=1),
}
