"""Whether a published site is as new as it should be: from outside, by its ``status.json`` alone."""

from __future__ import annotations

import datetime as dt
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.io.urls import is_url, show_url
from pipeline.publish.status import STATUS, Status, read_status
from pipeline.sources.download import Limits, RemoteFiles

PATIENCE = Limits(largest=2**20, connect=10.0, idle=20.0, total=60.0, attempts=3)
"""Bounds of fetching a status, which has under 2 kB."""
_AGE = re.compile(r"(?P<days>[0-9]{1,6})d?")


def parse_age(text: str) -> dt.timedelta:
    """``8d`` or ``8`` as that many days.

    Raises:
        ValueError: it is none of them.
    """
    found = _AGE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a number of days, such as 8d")
    return dt.timedelta(days=int(found["days"]))


def fetch_status(place: str) -> Status:
    """The status of a site by its URL or folder.

    Raises:
        RemoteError: it cannot be fetched.
        SourceError: it cannot be read, or is not a status.
    """
    if is_url(place):
        url = f"{place.rstrip('/')}/{STATUS}"
        with tempfile.TemporaryDirectory() as cache, RemoteFiles(Path(cache), limits=PATIENCE) as files:
            data, shown = files.fetch(url).path.read_bytes(), show_url(url)
    else:
        path = Path(place) / STATUS
        try:
            data, shown = path.read_bytes(), str(path)
        except OSError as error:
            raise SourceError(f"{path}: {error.strerror}; the command site writes it") from None
    try:
        return read_status(data)
    except ValueError as error:
        raise SourceError(f"{shown}: {error}") from None


def list_faults(status: Status, oldest: dt.timedelta, today: dt.date) -> Iterator[str]:
    """A line for each reason why a site is not as it should be: it is older than ``oldest``, or lacks a source."""
    if status.read_on is None:
        yield "does not say when its sources were read"
    elif (age := today - status.read_on) > oldest:
        yield f"is {age.days:,} days old: its sources were read on {status.read_on}; at most {oldest.days:,} are wanted"
    count = sum(number for state, number in status.sources.items() if state != "loaded")
    for one in status.not_loaded:
        since = f", last seen on {one['last_seen']}" if one.get("last_seen") else ""
        yield f"{one.get('source')}: {one.get('state')}{since}"
    if count > len(status.not_loaded):
        yield f"and {count - len(status.not_loaded):,} more sources that are not loaded"


def describe_status(status: Status) -> str:
    """A status in one line."""
    loaded = status.sources.get("loaded", 0)
    through = f"data through {status.data_through}, " if status.data_through else ""
    return f"{through}read on {status.read_on}, {loaded:,} of {sum(status.sources.values()):,} sources loaded"
