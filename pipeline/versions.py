"""Spack's order of versions, as a text key that sorts the same way in any engine.

The rules are those of Spack's ``version_types.py``: a version is cut into numbers and words, its
separators are ignored, and the parts are compared one by one. A word comes before a number, except
for the words of branches (``develop`` and the like), which come after all numbers in an order of
their own; a version that another one continues comes first; ``alpha``, ``beta`` and ``rc`` at the
end come before the version without them. ``git.<ref>=<version>`` stands where its version does.
"""

from __future__ import annotations

import functools
import re

BRANCHES = ("stable", "nightly", "trunk", "head", "master", "main", "develop")
PRERELEASES = {"alpha": "0", "beta": "1", "rc": "2"}
FINAL = "3"

# What a part of the key begins with; their order as bytes is the order of the parts' kinds.
END, WORD, NUMBER, BRANCH = "!", "$", "5", "7"

_PARTS = re.compile(r"[0-9]+|[a-zA-Z]+")


@functools.lru_cache(maxsize=65_536)
def version_key(version: str) -> str:
    """A key of ASCII letters for ``version``: keys compare, byte by byte, as Spack compares versions.

    Two versions that Spack takes for equal, such as ``1.2-rc1`` and ``1.2rc1``, have the same key.
    """
    parts = _PARTS.findall(version.rpartition("=")[2] if version.startswith("git.") else version)
    stage = FINAL
    if len(parts) >= 3 and parts[-2] in PRERELEASES and parts[-1].isdigit():
        stage = PRERELEASES[parts[-2]] + _number_key(parts[-1])
        parts = parts[:-2]
    elif len(parts) >= 2 and parts[-1] in PRERELEASES:
        stage = PRERELEASES[parts[-1]]
        parts = parts[:-1]
    return "".join(map(_part_key, parts)) + END + stage


def _part_key(part: str) -> str:
    if part.isdigit():
        return _number_key(part)
    if part in BRANCHES:
        return BRANCH + str(BRANCHES.index(part))
    # Closed by a mark below every letter, so that a word comes before a longer one.
    return WORD + part + END


def _number_key(digits: str) -> str:
    """Digits behind their own count, and that behind its own: a longer number is a larger one."""
    digits = digits.lstrip("0") or "0"
    count = str(len(digits))
    return f"{NUMBER}{len(count)}{count}{digits}"
