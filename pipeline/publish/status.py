"""``status.json``: how new a site is, in under 2 kB, for pages that say their age and for whoever watches it.

==================  ==============================================================================
``data_through``    date of the newest weekly snapshot; null where there is none
``read_on``         day (UTC) on which the sources were looked at last
``next_due``        day by which they are to be looked at again
``sources``         number of sources by state, see the table ``sources``
``not_loaded``      those not loaded: source, state, last_seen; the first few
``manifest``        SHA-256 of ``site.json``, which lists the site's files
==================  ==============================================================================
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

STATUS = "status.json"
DUE = dt.timedelta(days=8)
"""How long after a look at the sources the next one is due: a week, and a day for a run that comes late."""
MOST_BYTES = 2_000
LONGEST = 200
"""Characters of a source's name."""


class Status(msgspec.Struct):
    """What ``status.json`` says; days as ``YYYY-MM-DD``."""

    data_through: dt.date | None
    read_on: dt.date | None
    next_due: dt.date | None
    sources: dict[str, int]
    not_loaded: list[dict[str, Any]]
    manifest: str


def make_status(
    sources: Sequence[Mapping[str, Any]], data_through: dt.date | None, read_on: dt.date | None, manifest: bytes
) -> bytes:
    """The file. ``sources`` are rows of the table ``sources``; ``manifest`` is the content of ``site.json``."""
    lost = [
        {"source": str(row["source"])[:LONGEST], "state": row["state"], "last_seen": row["last_seen"]}
        for row in sources
        if row["state"] != "loaded"
    ]
    status = Status(
        data_through,
        read_on,
        _find_due(read_on),
        dict(sorted(Counter(row["state"] for row in sources).items())),
        lost,
        hashlib.sha256(manifest).hexdigest(),
    )
    while len(data := _encode(status)) >= MOST_BYTES:
        status.not_loaded.pop()
    return data


def encode_status(status: Status, read_on: dt.date | None) -> bytes:
    """The file of a site that stays as it is, whose sources were looked at again."""
    return _encode(msgspec.structs.replace(status, read_on=read_on, next_due=_find_due(read_on)))


def _encode(status: Status) -> bytes:
    return msgspec.json.encode(status) + b"\n"


def _find_due(read_on: dt.date | None) -> dt.date | None:
    return read_on + DUE if read_on else None


def read_status(data: bytes) -> Status:
    """A status as it was published.

    Raises:
        ValueError: it is none.
    """
    try:
        return msgspec.json.decode(data, type=Status)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"is not the {STATUS} of a site: {error}") from None
