"""Feeds of losses as Atom (RFC 4287): an entry for each head of a loss, see the view ``loss_heads``.

An entry of a lost package is never changed, and so its id is made of what it is about alone. It is dated by the
snapshot that lacks the package, at midnight (UTC): there is no clock in a feed, and the same data give the same bytes.
Links name index.html, as those of the pages do.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote, urljoin
from xml.etree import ElementTree

from pipeline.ask.diff import describe_loss
from pipeline.report.folder import SITE

ATOM = "http://www.w3.org/2005/Atom"
MOST = 100
"""So many entries are in a feed, the newest."""
UNDATED = dt.date(1970, 1, 1)
"""Of a feed without entries."""


class Loss(NamedTuple):
    """What a stack lost at once: ``head``, and the ``packages`` that went with it; ``page`` is that of the head.

    ``day`` is that of the ``snapshot``; ``page`` is an address relative to the site's top.
    """

    snapshot: str
    day: dt.date
    stack: str
    head: str
    packages: Sequence[str]
    page: str

    @property
    def title(self) -> str:
        """As ``e4s lost lima and 15 that went with it``."""
        return f"{self.stack} lost {describe_loss(self.head, len(self.packages))}"


def render_feed(title: str, path: str, base_url: str | None, losses: Sequence[Loss]) -> bytes:
    """The feed at ``path``, relative to the site's top, as XML; of the ``losses`` the newest, by stack and head.

    Without a ``base_url`` its links are relative, as RFC 3986 has them, to the feed itself.
    """
    ElementTree.register_namespace("", ATOM)
    newest = sorted(losses, key=lambda one: (-one.day.toordinal(), one.snapshot, one.stack, one.head))[:MOST]
    feed = ElementTree.Element(f"{{{ATOM}}}feed")
    _add(feed, "id", f"urn:spack-warehouse:{quote(path)}" if base_url is None else urljoin(base_url, quote(path)))
    _add(feed, "title", title)
    _add(feed, "updated", _show_day(newest[0].day if newest else UNDATED))
    _add(ElementTree.SubElement(feed, f"{{{ATOM}}}author"), "name", "Spack Warehouse")
    up = "../" * path.count("/") if base_url is None else base_url
    ElementTree.SubElement(feed, f"{{{ATOM}}}link", rel="self", href=f"{up}{quote(path)}")
    ElementTree.SubElement(feed, f"{{{ATOM}}}link", rel="alternate", href=f"{up}{SITE}")
    for loss in newest:
        entry = ElementTree.SubElement(feed, f"{{{ATOM}}}entry")
        _add(
            entry,
            "id",
            "urn:spack-warehouse:lost:"
            + "/".join(quote(one, safe="") for one in (loss.snapshot, loss.stack, loss.head)),
        )
        _add(entry, "title", loss.title)
        _add(entry, "updated", _show_day(loss.day))
        ElementTree.SubElement(entry, f"{{{ATOM}}}link", rel="alternate", href=f"{up}{loss.page}")
        went = f" With it went: {', '.join(loss.packages)}." if loss.packages else ""
        _add(entry, "content", f"Since {loss.snapshot} the stack {loss.stack} has no {loss.head}.{went}")
    data: bytes = ElementTree.tostring(feed, "utf-8", xml_declaration=True)
    return data + b"\n"


def _add(parent: ElementTree.Element, name: str, text: str) -> None:
    # XML has no control characters, not even as references.
    plain = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    ElementTree.SubElement(parent, f"{{{ATOM}}}{name}").text = plain


def _show_day(day: dt.date) -> str:
    return f"{day.isoformat()}T00:00:00Z"
