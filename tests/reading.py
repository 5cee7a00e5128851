"""A site's pages as its readers get them: links, words and tables of the HTML, and the JSON beside it."""

import json
import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Reading(HTMLParser):
    """A page's links, texts of headings, and the rows of its tables by the table's label."""

    def __init__(self, html):
        super().__init__()
        self.links, self.ids, self.tags, self.tables, self.texts = [], set(), [], {}, []
        self._label, self._cell, self._quiet = None, False, 0
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        held = dict(attributes)
        self.tags.append((tag, held))
        self.ids.add(held.get("id"))
        if tag == "a":
            self.links.append(held["href"])
        if tag in ("link", "script") and (held.get("href") or held.get("src")):
            self.links.append(held.get("href") or held["src"])
        if held.get("role") == "group":
            self._label = held["aria-label"]
            self.tables[self._label] = []
        if tag == "table" and self._label is None:
            self._label = held.get("id", "table")
            self.tables.setdefault(self._label, [])
        if tag == "tr" and self._label is not None:
            self.tables[self._label].append([])
        if tag in ("td", "th") and self._label is not None:
            self.tables[self._label][-1].append("")
            self._cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = False
        if tag == "table":
            self._label = None

    def handle_data(self, data):
        self.texts.append(data)
        if self._cell:
            self.tables[self._label][-1][-1] += data

    @property
    def text(self):
        return " ".join("".join(self.texts).split())

    def rows(self, label):
        """The cells of a table's body, blanks made one."""
        return [[" ".join(cell.split()) for cell in row] for row in self.tables[label][1:]]


def read_page(out, *parts):
    return Reading(Path(out, *parts, "index.html").read_text())


def read_data(out, *parts):
    path = Path(out, *parts)
    return json.loads((path if path.suffix == ".json" else path / "index.json").read_text())


def list_broken(out):
    """(page, link) of every link of the site that leads to nothing, or away and not to packages.spack.io."""
    broken = []
    pages = [path for path in out.rglob("*.html") if path.name != "report.html"]
    for page in pages:
        reading = Reading(page.read_text())
        for link in reading.links:
            parts = urlsplit(link)
            if parts.scheme == "data" or link.startswith(
                ("https://packages.spack.io/package.html?name=", "https://example.org")
            ):
                continue
            target = Path(os.path.normpath(page.parent / unquote(parts.path))) if parts.path else page
            found = not parts.scheme and target.is_file() and target.is_relative_to(out)
            if not found or (parts.fragment and f'id="{parts.fragment}"' not in target.read_text()):
                broken.append((str(page), link))
    assert pages
    return broken
