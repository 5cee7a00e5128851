"""What leaves a snapshot that stands, as lines: nothing leaves a warehouse without a word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from pipeline.io.progress import name_some, number_of
from pipeline.store.state import Part, Place

SHOWN_NAMES = 10


def list_gone_within(
    parts: Iterable[Part], places: Collection[Place], keys: Collection[tuple[Place, str]]
) -> Iterator[str]:
    """A line for the stacks, and one for the pages, of each snapshot, that are in ``parts`` and stand no more.

    Stacks stand in ``places``, and pages have a key among ``keys``: an index may move, and is the same stack.
    """
    gone: dict[tuple[str, str], set[str]] = defaultdict(set)
    for part in parts:
        if part.stack is not None and part.place not in places:
            gone[part.snapshot, "stack"].add(part.stack)
        elif part.package is not None and part.key not in keys:
            gone[part.snapshot, "page"].add(part.package)
    for (snapshot, noun), names in sorted(gone.items()):
        some = name_some(sorted(names), SHOWN_NAMES)
        yield f"no longer there, and gone from the warehouse: {snapshot}: {number_of(len(names), noun)}: {some}"
