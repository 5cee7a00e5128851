"""What leads to a site's pages and says how new they are: feeds, badges, the status and its watching."""

import datetime as dt
import json
import re
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SourceError
from pipeline.publish.badges import describe_package, describe_stack, render_badge
from pipeline.publish.feed import ATOM, MOST, Loss, render_feed
from pipeline.publish.status import DUE, MOST_BYTES, make_status, read_status
from pipeline.publish.watch import describe_status, fetch_status, list_faults, parse_age
from tests.commands import run
from tests.servers import body, serve

DAY = dt.date(2025, 6, 1)
LIMA = Loss("develop-2025-06-01", DAY, "e4s", "lima", ["glib", "qemu"], "package/lima/index.html")
names = st.text(min_size=1, max_size=12)
losses = st.lists(
    st.builds(
        Loss,
        names,
        st.dates(dt.date(2020, 1, 1)),
        names,
        names,
        st.lists(names, max_size=2),
        st.just("package/x/index.html"),
    ),
    max_size=5,
    unique_by=lambda one: (one.day, one.snapshot, one.stack, one.head),
)


def check_feed(data):
    """What RFC 4287 asks of a feed, in its sections 4.1.1, 4.1.2 and 4.2, beside what makes a reader show it once."""
    root = ElementTree.fromstring(data)
    entries = root.findall(f"{{{ATOM}}}entry")
    assert root.tag == f"{{{ATOM}}}feed"
    assert [one.findtext(f"{{{ATOM}}}name") for one in root.findall(f"{{{ATOM}}}author")] == ["Spack Warehouse"]
    assert [link.get("rel") for link in root.findall(f"{{{ATOM}}}link")] == ["self", "alternate"]
    for one in (root, *entries):
        found = {name: one.findall(f"{{{ATOM}}}{name}") for name in ("id", "title", "updated")}
        assert all(len(elements) == 1 and elements[0].text for elements in found.values())
        assert urlsplit(found["id"][0].text).scheme in ("https", "urn")
        assert re.fullmatch(r"[!-~]+", found["id"][0].text)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", found["updated"][0].text)
    for one in entries:
        assert [link.get("rel") for link in one.findall(f"{{{ATOM}}}link")] == ["alternate"]
        assert one.find(f"{{{ATOM}}}content").get("type", "text") == "text"
    assert len({one.findtext(f"{{{ATOM}}}id") for one in entries}) == len(entries)
    days = [one.findtext(f"{{{ATOM}}}updated") for one in entries]
    assert days == sorted(days, reverse=True)
    assert root.findtext(f"{{{ATOM}}}updated") == (days or ["1970-01-01T00:00:00Z"])[0]


def read_entries(data):
    return ElementTree.fromstring(data).findall(f"{{{ATOM}}}entry")


def test_a_feed_has_an_entry_for_each_head_the_newest_first():
    older = LIMA._replace(snapshot="develop-2025-05-25", day=DAY - dt.timedelta(7), head="vim", packages=[])
    data = render_feed("Losses", "stack/e4s/feed.atom", "https://site.example/x/", [older, LIMA])
    entries = read_entries(data)
    root = ElementTree.fromstring(data)

    assert [one.findtext(f"{{{ATOM}}}title") for one in entries] == [
        "e4s lost lima and 2 that went with it",
        "e4s lost vim",
    ]
    assert root.findtext(f"{{{ATOM}}}updated") == "2025-06-01T00:00:00Z"
    assert [link.get("href") for link in root.findall(f"{{{ATOM}}}link")] == [
        "https://site.example/x/stack/e4s/feed.atom",
        "https://site.example/x/index.html",
    ]
    assert entries[0].find(f"{{{ATOM}}}link").get("href") == "https://site.example/x/package/lima/index.html"
    assert "With it went: glib, qemu." in entries[0].findtext(f"{{{ATOM}}}content")


def test_without_an_address_links_are_relative_to_the_feed():
    root = ElementTree.fromstring(render_feed("Losses", "stack/e4s/feed.atom", None, [LIMA]))

    assert [link.get("href") for link in root.iter(f"{{{ATOM}}}link")] == [
        "../../stack/e4s/feed.atom",
        "../../index.html",
        "../../package/lima/index.html",
    ]
    assert root.findtext(f"{{{ATOM}}}id") == "urn:spack-warehouse:stack/e4s/feed.atom"


@given(found=losses, title=names)
def test_any_names_make_a_feed_that_a_reader_takes(found, title):
    data = render_feed(title, "feed.atom", "https://site.example/", found)

    assert len(read_entries(data)) == len(found)
    check_feed(data)
    assert data == render_feed(title, "feed.atom", "https://site.example/", found[::-1])
    for element in ElementTree.fromstring(data).iter():
        assert element.tag.startswith(f"{{{ATOM}}}")


def test_ids_of_entries_are_those_of_what_they_are_about_alone():
    other = LIMA._replace(stack="e4s/lima", head="x"), LIMA._replace(stack="e4s", head="lima/x")
    ids = [read_entries(render_feed("A", "feed.atom", None, [one]))[0].findtext(f"{{{ATOM}}}id") for one in other]

    assert len(set(ids)) == 2
    moved = LIMA._replace(day=DAY + dt.timedelta(1), packages=[])
    feeds = [("feed.atom", None, LIMA), ("stack/e4s/feed.atom", "https://site.example/", moved)]
    ids = {read_entries(render_feed("A", path, url, [one]))[0].findtext(f"{{{ATOM}}}id") for path, url, one in feeds}
    assert ids == {"urn:spack-warehouse:lost:develop-2025-06-01/e4s/lima"}


def test_a_feed_has_the_newest_losses_alone():
    many = [LIMA._replace(head=f"p{number}", day=DAY + dt.timedelta(number)) for number in range(MOST + 5)]
    entries = read_entries(render_feed("Losses", "feed.atom", None, many))

    assert len(entries) == MOST
    assert entries[0].findtext(f"{{{ATOM}}}title") == f"e4s lost p{MOST + 4} and 2 that went with it"


@given(label=names, message=names, there=st.booleans())
def test_any_badge_is_one_picture_with_its_words(label, message, there):
    svg, shield = render_badge(label, message, there)
    root = ElementTree.fromstring(svg)
    shown = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]

    assert [len(one) for one in shown] == [len(label), len(message)]
    assert root.get("aria-label") == f"{shown[0]}: {shown[1]}"
    assert json.loads(shield)["message"] == message
    assert json.loads(shield)["schemaVersion"] == 1


def test_badges_say_what_is_there():
    assert [describe_stack(one) for one in (None, 0, 1, 1234)] == [
        "unknown",
        "0 packages",
        "1 package",
        "1,234 packages",
    ]
    assert describe_package(3, 17) == "in 3 of 17 stacks"
    assert describe_package(1, 1) == "in 1 of 1 stack"
    assert describe_package(0, 17) == "no binary"


def row(source, state="loaded", last_seen=None):
    return {"source": source, "state": state, "last_seen": last_seen}


def test_a_status_counts_sources_and_names_those_that_are_not_loaded(tmp_path):
    data = make_status([row("a"), row("b", "stale", DAY), row("c", "failed")], DAY, DAY, b"{}")
    (tmp_path / "status.json").write_bytes(data)
    status = fetch_status(str(tmp_path))

    assert status == read_status(data)
    assert json.loads(data)["next_due"] == "2025-06-09"
    assert status.sources == {"failed": 1, "loaded": 1, "stale": 1}
    assert describe_status(status) == "data through 2025-06-01, read on 2025-06-01, 1 of 3 sources loaded"
    assert list(list_faults(status, DUE, DAY + DUE)) == ["b: stale, last seen on 2025-06-01", "c: failed"]
    assert next(list_faults(status, DUE, DAY + dt.timedelta(20))) == (
        "is 20 days old: its sources were read on 2025-06-01; at most 8 are wanted"
    )


def test_a_status_of_many_long_sources_stays_small():
    data = make_status([row("é" * 500 + str(number), "failed") for number in range(1000)], None, None, b"")
    status = read_status(data)

    assert len(data) < MOST_BYTES
    assert status.not_loaded
    faults = list(list_faults(status, DUE, DAY))
    assert faults[0] == "does not say when its sources were read"
    assert faults[-1] == f"and {1000 - len(status.not_loaded):,} more sources that are not loaded"


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"read_on": 3}'])
def test_what_is_no_status_is_one_line(tmp_path, data):
    (tmp_path / "status.json").write_bytes(data)
    with pytest.raises(SourceError, match=r"status\.json: is not the status\.json of a site") as caught:
        fetch_status(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_site_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(SourceError, match=r"none/status\.json: No such file"):
        fetch_status(str(tmp_path / "none"))


def test_watching_a_site_by_its_url(tmp_path):
    with serve() as site:
        site.put("/x/status.json", body(make_status([row("a")], None, DAY, b"{}")))
        old = run("watch", f"{site.url}/x/")
        new = run("watch", f"{site.url}/x", "--max-age", "99999d")
        gone = run("watch", f"{site.url}/none")
    assert (old.returncode, old.stdout) == (3, "read on 2025-06-01, 1 of 1 sources loaded\n")
    assert " days old: its sources were read on 2025-06-01; at most 8 are wanted" in old.stderr
    assert (new.returncode, new.stderr) == (0, "")
    assert gone.returncode == 1
    assert len(gone.stderr.splitlines()) == 1
    assert run("watch", tmp_path, "--max-age", "soon").returncode == 2


def test_an_age_is_a_number_of_days():
    assert parse_age("8d") == parse_age("8") == dt.timedelta(8)
    for text in ("", "d", "-1d", "8h", "1.5d", "9999999d"):
        with pytest.raises(ValueError, match="is not a number of days"):
            parse_age(text)
