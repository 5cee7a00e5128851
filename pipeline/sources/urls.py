"""URLs of sources: which can be fetched from, and how they are shown."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

SCHEMES = ("https", "http", "s3")


def is_url(source: str) -> bool:
    """Whether a source is a URL that can be fetched from."""
    try:
        return urlsplit(source).scheme in SCHEMES and "://" in source
    except ValueError:
        return False


def show_url(url: str) -> str:
    """A URL without what may be secret: user, password, query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
