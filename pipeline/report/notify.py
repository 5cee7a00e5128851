"""Report what fails: a JSON file that any notifier can post, and a webhook.

The JSON's ``text`` is what chat services show of a message; the rest is for programs. It holds no time
but the day that a run was given, so that the same shortfalls give the same bytes.
"""

from __future__ import annotations

import os
import queue
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pipeline.io.disk import is_remains
from pipeline.io.streams import show_text

if TYPE_CHECKING:
    import httpx

VERSION = 1
"""Of the notification's shape."""
TRIES = 2
NO_URL = "is no URL of http or https"
_OPENING = b'{\n  "version": 1,\n  "text": "Spack Warehouse: '
_HEAD = re.compile(rb'\{\s*"version":\s*\d+,\s*"text":\s*"Spack Warehouse: ')


def encode_notification(notification: Mapping[str, object]) -> bytes:
    """A notification as the bytes of its file and of what is posted."""
    return msgspec.json.format(msgspec.json.encode(notification), indent=2) + b"\n"


def escape_text(line: str) -> str:
    """A line as chat services show it: to Slack ``<`` begins a link or a mention of everybody, ``&`` a character."""
    return show_text(line).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def may_replace(file: Path) -> bool:
    """Whether there is nothing at a path that would be lost: no file, a notification, or what a power cut left of it.

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
    return _HEAD.match(head) is not None or is_remains(file, _OPENING)


def post_notification(url: str, data: bytes, timeout: float) -> str | None:
    """Post a notification as JSON; where it was not taken, the reason, which does not name the URL.

    A webhook's URL is a secret. A server that has not answered in ``timeout`` seconds, or answers that it
    cannot at the moment (429, 5xx), is tried once more.
    """
    import httpx
    import tenacity

    try:
        if httpx.URL(url).scheme not in ("http", "https"):
            return NO_URL
        client = httpx.Client(timeout=timeout, headers={"Content-Type": "application/json"})
    except Exception as error:
        return _explain(error, timeout)
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(TRIES),
        retry=tenacity.retry_if_result(_may_go_well),
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )
    with client:
        answer: int | Exception = retrying(_post_within, client, url, data, timeout)
    if isinstance(answer, Exception):
        return _explain(answer, timeout)
    return None if httpx.codes.is_success(answer) else f"answered {answer}"


def _may_go_well(answer: int | Exception) -> bool:
    """Whether another try may have a better answer."""
    import httpx

    if isinstance(answer, int):
        return answer == httpx.codes.TOO_MANY_REQUESTS or httpx.codes.is_server_error(answer)
    return isinstance(answer, (httpx.HTTPError, TimeoutError))


def _post_within(client: httpx.Client, url: str, data: bytes, timeout: float) -> int | Exception:
    """The status of the answer, or what went wrong; no later than after ``timeout`` seconds."""
    outcomes: queue.SimpleQueue[int | Exception] = queue.SimpleQueue()

    def post() -> None:
        try:
            # The answer's body counts for nothing, and is not waited for.
            with client.stream("POST", url, content=data) as answer:
                outcomes.put(answer.status_code)
        except Exception as error:
            outcomes.put(error)

    # httpx has a limit for each read alone, and none for the look-up of a name.
    threading.Thread(target=post, daemon=True).start()
    try:
        return outcomes.get(timeout=timeout)
    except queue.Empty:
        return TimeoutError()


def _explain(error: Exception, timeout: float) -> str:
    """What went wrong, by the kind of the error: its text may name the URL."""
    import httpx

    if isinstance(error, (TimeoutError, httpx.TimeoutException)):
        return f"did not answer in {timeout:g} seconds"
    if isinstance(error, httpx.ConnectError):
        return "cannot be connected to"
    # A name or a byte that no URL may have is a ValueError.
    return NO_URL if isinstance(error, (httpx.InvalidURL, ValueError)) else type(error).__name__
