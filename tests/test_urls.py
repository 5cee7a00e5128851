"""A URL shows nothing that may be secret, and leads where it may."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.io.urls import (
    ALLOWED_HOST,
    borrow_credentials,
    change_path,
    extend_url,
    find_origin,
    hide_secrets,
    is_url,
    join_place,
    may_lead_to,
    read_file_url,
    show_url,
)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/x", "https://h/x"),
        ("https://h:80/a/b", "https://h:80/a/b"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("https://h/spack@1.0/x", "https://h/spack@1.0/x"),
        ("https://me:secret@h:1/a?b#c", "https://h:1/a"),
        ("https://secret@h/a", "https://h/a"),
        ("htps://me:secret@h/x", "htps://h/x"),
        ("ftp://me:secret@h/x", "ftp://h/x"),
        ("s3://me:secret@b/k", "s3://b/k"),
        ("https://me:se/cret@h/x", "https://…@h/x"),
        ("https://me:12/secret@h/x", "https://…@h/x"),
        ("https://me:se cret@h/x", "https://h/x"),
        ("https://me:se?cret@h/x", "https://…@h/x"),
        ("https://me:se#cret@h/x", "https://…@h/x"),
        ("https://me:s@cr/et@h/x", "https://…@h/x"),
        ("https://me:secret", "https://…"),
        ("https:/me:secret@h/x", "…@h/x"),
        ("https//me:secret@h/x", "…@h/x"),
        ("me:secret@h/x", "…@h/x"),
        ("me:secret@https://h/x", "…"),
        ("https:/me:secret@h/x?token=secret", "…@h/x"),
        ("hdf5@1.10:1.14 %gcc@11", "hdf5@1.10:1.14 %gcc@11"),
        ("https://h/x?token=secret", "https://h/x"),
        ("https://h/x?X-Amz-Signature=secret&a=b", "https://h/x"),
        ("http://[::1", "http://[::1"),
        ("a folder/with spaces", "a folder/with spaces"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url, shown):
    assert show_url(url) == shown


WORDS = st.text(st.sampled_from("ab1/?#@: \\%[]&"), min_size=1, max_size=8)


@given(
    scheme=st.sampled_from(["https", "http", "s3", "ftp", "htps", "oci"]),
    user=st.text(st.sampled_from("ab1.-"), max_size=4),
    password=st.lists(WORDS, min_size=1, max_size=3).map("SECRET".join),
    query=st.sampled_from(["", "?token=SECRET", "#SECRET", "?X-Amz-Signature=SECRET"]),
)
def test_no_password_is_ever_shown(scheme, user, password, query):
    url = f"{scheme}://{user}:SECRET{password}SECRET@host/path{query}"
    shown = show_url(url)

    assert "SECRET" not in shown
    assert shown.endswith("host/path")


@given(st.text(max_size=40))
def test_any_text_can_be_shown(text):
    for one in (text, f"https://{text}"):
        assert isinstance(show_url(one), str)
        assert isinstance(is_url(one), bool)
        hide_secrets(one)


def test_urls_in_a_message_are_shown_as_they_are_alone():
    message = "error (https://me:secret@h/x?token=secret) and <s3://b/k>, 'ftp://a:secret@b'"

    assert hide_secrets(message) == "error (https://h/x and <s3://b/k>, 'ftp://b'"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://h/x", True),
        ("HTTPS://h", True),
        ("s3://b/k", True),
        ("http://[::1]:8080/x", True),
        ("https://bücher.example/x", True),
        ("ftp://h/x", False),
        ("oci://h/x", False),
        ("file:///x", False),
        ("https://", False),
        ("https://h:port/x", False),
        ("https://me:se/cret@h/x", False),
        ("https://a b/x", False),
        ("https://h/\n", False),
        ("C:/x", False),
        ("/x", False),
        ("x", False),
    ],
)
def test_what_is_a_url(text, expected):
    assert is_url(text) == expected


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///a%20b", "/a b"),
        ("file://localhost/a/b", "/a/b"),
        ("file:///a?b#c", "/a?b#c"),
        ("FILE:///a", "/a"),
        ("file:///%ff", os.fsdecode(b"/\xff")),
    ],
)
def test_a_file_url_is_a_path(url, path):
    assert read_file_url(url) == path


@pytest.mark.parametrize("url", ["file://host/a", "file://", "file:///", "file:///a%00b", "file://./a"])
def test_a_file_url_of_nothing_here(url):
    with pytest.raises(ValueError, match="names"):
        read_file_url(url)


SOURCE = "https://me:pw@host/bucket/cache_spack_io_index.json"


@pytest.mark.parametrize(
    ("source", "url", "allowed", "expected"),
    [
        (SOURCE, "https://host/elsewhere", (), True),
        (SOURCE, "https://HOST:443/elsewhere", (), True),
        (SOURCE, "http://host/x", (), False),
        (SOURCE, "https://host:444/x", (), False),
        (SOURCE, "https://other/x", (), False),
        (SOURCE, "https://host.evil/x", (), False),
        (SOURCE, "https://host@evil/x", (), False),
        (SOURCE, "s3://host/x", (), False),
        (SOURCE, "file:///etc/passwd", ("etc",), False),
        (SOURCE, "develop/index.json", (), False),
        (SOURCE, "https://other/x", ("other",), True),
        (SOURCE, "http://other/x", ("other",), True),
        (SOURCE, "https://other:8080/x", ("other",), False),
        (SOURCE, "https://other:8080/x", ("other:8080",), True),
        (SOURCE, "s3://other/x", ("other",), False),
        (SOURCE, "s3://other/x", ("s3://other",), True),
        (SOURCE, "https://s3/x", ("s3://other",), False),
        ("s3://b/listing", "s3://b/x", (), True),
        ("s3://b/listing", "s3://c/x", (), False),
    ],
)
def test_a_listing_leads_to_its_own_place_and_to_what_is_allowed(source, url, allowed, expected):
    assert may_lead_to(source, url, allowed) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [("h", True), ("h:80", True), ("[::1]:80", True), ("s3://b", True), ("https://h", False), ("u:p@h", False)],
)
def test_what_may_be_allowed(host, expected):
    import re

    assert bool(re.fullmatch(ALLOWED_HOST, host)) == expected


def test_credentials_stay_with_their_origin():
    source = "https://me:pw@host/a?token=x"

    assert borrow_credentials("https://host/b", source) == "https://me:pw@host/b?token=x"
    assert borrow_credentials("https://you@host/b?c", source) == "https://you@host/b?c"
    for url in ("https://other/b", "http://host/b", "https://host:444/b", "s3://host/b"):
        assert borrow_credentials(url, source) == url


def test_what_lies_below_a_url_is_opened_by_the_same_query():
    assert extend_url("https://me:pw@host/m/?token=x#y", "v3/x") == "https://me:pw@host/m/v3/x?token=x"
    assert change_path("https://me:pw@host/m?token=x", "/n") == "https://me:pw@host/n?token=x"
    assert join_place("/bucket", "s3://b/develop/x") == "/bucket/develop/x"
    assert find_origin("https://[::1]/x") == ("https", "[::1]", 443)
