"""URLs as sources are named by: what is one, how it is shown, and where it may lead.

Pure functions of text; none of them fails on a text that is no URL.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Collection
from urllib.parse import unquote_to_bytes, urlsplit, urlunsplit

FETCHED = ("https", "http", "s3")
"""The schemes that files are fetched by."""
OCI = ("oci", "oci+http")
"""Those of OCI mirrors, as Spack spells them."""
HIDDEN = "…"
"""Stands in a shown URL for what may be secret: it may as well be the host."""

ALLOWED_HOST = r"(?:s3://)?(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
"""What may be allowed as another place: ``HOST`` or ``HOST:PORT``, of https and http, or ``s3://BUCKET``."""

SITE_ADDRESS = r"https?://[^\s/?#]+[^\s?#]*"
"""Where a site is published, without a query."""

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[\w.~-]+|\[[0-9A-Fa-f:.]+\]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_AUTHORITY = re.compile(r"[^/?#]*")
_IN_TEXT = re.compile(r"""[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>]*""")


def has_scheme(text: str, schemes: Collection[str] = FETCHED) -> bool:
    """Whether a text begins as a URL of one of ``schemes`` does, whatever comes after."""
    scheme, separator, _ = text.partition("://")
    return bool(separator) and scheme.lower() in schemes


def is_url(text: str) -> bool:
    """Whether a text is a URL that can be fetched from: of a known scheme, with a host, and a port that is a number."""
    return has_scheme(text) and text.isprintable() and find_origin(text) is not None


def find_origin(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a URL, the port by its scheme where none is given and 0 for ``s3``, whose host is the
    bucket; None where it is no URL.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    shown = f"[{host}]" if host and ":" in host else host
    if not shown or not _HOST.fullmatch(shown) or " " in parts.netloc:
        return None
    return parts.scheme, shown, port if port is not None else _PORTS.get(parts.scheme, 0)


def show_url(text: str) -> str:
    """A URL without what may be secret: user, password, query and fragment. Safe for any text.

    People mistype URLs, and passwords hold what must be escaped. So where there may be a password, all before the
    last ``@`` is left out, even if a slash, a space or a question mark is in it. A text without ``://`` loses what
    stands before an ``@`` and looks like ``user:password``.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        if not re.match(r"[^\s@]*:.*@", text, re.DOTALL):
            return text
        return HIDDEN + re.split("[?#]", text[text.rindex("@") :], maxsplit=1)[0]
    if not _SCHEME.fullmatch(scheme):
        # What stands before the scheme may be anything.
        return HIDDEN
    before, authority = "", _read_authority(rest)
    if "@" in rest and (":" in authority or "@" in authority):
        # Where the last @ is not in the authority, what is left out may as well be a host and a part of a path.
        before = "" if "@" not in rest[len(authority) :] else f"{HIDDEN}@"
        rest = rest[rest.rindex("@") + 1 :]
        authority = _read_authority(rest)
    if ":" in authority.rpartition("]")[2] and not re.fullmatch(r".*:\d*", authority):
        # A port that is no number may be a password whose @ is missing.
        return f"{scheme}://{HIDDEN}"
    return f"{scheme}://{before}{re.split('[?#]', rest, maxsplit=1)[0]}"


def _read_authority(rest: str) -> str:
    found = _AUTHORITY.match(rest)
    return found[0] if found else ""


def hide_secrets(text: str) -> str:
    """A message of somebody else's with its URLs as :func:`show_url` shows them."""
    return _IN_TEXT.sub(lambda found: show_url(found[0]), text)


def read_file_url(url: str) -> str:
    """The path that a ``file://`` URL names, as ``spack mirror list`` prints local mirrors.

    Raises:
        ValueError: it names another machine's file, or none.
    """
    rest = url.partition("://")[2]
    host, slash, path = rest.partition("/")
    if host not in ("", "localhost"):
        raise ValueError("names a file of another host; such a path is file:///…")
    decoded = unquote_to_bytes(slash + path)
    if not path or b"\0" in decoded:
        raise ValueError("names no path")
    return os.fsdecode(decoded)


def extend_url(url: str, path: str) -> str:
    """The URL of what lies at a path below a URL; user, password and query stay, as they open the whole."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{path}", fragment=""))


def change_path(url: str, path: str) -> str:
    """A URL of another path at the same place, with the user, password and query of ``url``."""
    return urlunsplit(urlsplit(url)._replace(path=path, fragment=""))


def borrow_credentials(url: str, source: str) -> str:
    """``url`` with the user, password and query of ``source`` where the origin is the same and it has none itself."""
    if find_origin(url) != find_origin(source):
        return url
    parts, given = urlsplit(url), urlsplit(source)
    user = given.netloc.rpartition("@")
    if user[1] and "@" not in parts.netloc:
        parts = parts._replace(netloc=f"{user[0]}@{parts.netloc}")
    return urlunsplit(parts if parts.query else parts._replace(query=given.query))


def may_lead_to(source: str, url: str, allowed: Collection[str]) -> bool:
    """Whether what is fetched from ``source`` may send its reader to ``url``.

    It may to where it is itself, the same scheme, host and port or the same bucket, and to what the user allows, each
    of the form :data:`ALLOWED_HOST`.
    """
    origin = find_origin(url)
    if origin is None or origin[0] not in FETCHED:
        return False
    return origin == find_origin(source) or any(_covers(one, origin) for one in allowed)


def _covers(allowed: str, origin: tuple[str, str, int]) -> bool:
    if "://" in allowed:
        return find_origin(allowed) == origin
    return origin[0] != "s3" and find_origin(f"{origin[0]}://{allowed}") == origin


def join_place(folder: str, url: str) -> str:
    """Where what a listing in ``folder`` names ``url`` stands if it was copied with it: its path below the folder."""
    return posixpath.join(folder, urlsplit(url).path.lstrip("/"))
