"""Tell of what falls short: a JSON file that any notifier can post, and a webhook.

The JSON's ``text`` is what chat services show of a message; the rest is for programs. It holds no time
but the day that a run was given, so that the same shortfalls give the same bytes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import httpx

VERSION = 1
"""Of the notification's shape."""
TRIES = 2
_HEAD = re.compile(rb'\{\s*"version":\s*\d+,\s*"text":\s*"Spack Warehouse: ')


def encode_notification(notification: Mapping[str, object]) -> bytes:
    """A notification as the bytes of its file and of what is posted."""
    return msgspec.json.format(msgspec.json.encode(notification), indent=2) + b"\n"


def may_replace(file: Path) -> bool:
    """Whether there is nothing at a path that would be lost: no file, an empty one, or a notification.

    Raises:
        OSError: it cannot be read.
    """
    if not os.path.lexists(file):
        return True
    # Anything else, such as a pipe, is not opened: that might wait for ever.
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        head = opened.read(100)
    return not head or _HEAD.match(head) is not None


def post_notification(url: str, data: bytes, timeout: float) -> str | None:
    """Post a notification as JSON; where it was not taken, the reason, which does not name the URL.

    A webhook's URL is a secret. A server that does not answer in ``timeout`` seconds, or answers that it
    cannot at the moment (429, 5xx), is tried once more.
    """
    import httpx

    reason = "is no URL of http or https"
    try:
        if httpx.URL(url).scheme not in ("http", "https"):
            return reason
    except httpx.InvalidURL:
        return reason
    with httpx.Client(timeout=timeout, headers={"Content-Type": "application/json"}) as client:
        for _ in range(TRIES):
            try:
                # The answer's body counts for nothing, and is not waited for.
                with client.stream("POST", url, content=data) as answer:
                    reason = f"answered {answer.status_code}"
                    if answer.is_success:
                        return None
                    if answer.status_code != httpx.codes.TOO_MANY_REQUESTS and not answer.is_server_error:
                        return reason
            except httpx.TimeoutException:
                reason = f"did not answer in {timeout:g} seconds"
            except httpx.InvalidURL:
                return "is no URL"
            except httpx.HTTPError as error:
                reason = _explain(error)
    return reason


def _explain(error: httpx.HTTPError) -> str:
    """What went wrong, by the kind of the error: its text may name the URL."""
    import httpx

    return "cannot be connected to" if isinstance(error, httpx.ConnectError) else type(error).__name__
