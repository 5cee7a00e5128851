"""A ``gh`` for steps of a workflow: it keeps releases in a folder, and refuses what it does not know.

A release is a folder, an asset a file in it; one whose upload fails is there with the state ``starter``, as on GitHub.
"""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

REPOSITORY, BRANCH = "somebody/spack-warehouse", "main"
STARTER = ".starter"
"""Ends the name of the file of an asset whose upload failed."""
QUERY = re.compile(r'\.(?P<list>\w*)\[\](?: \| select\(\.(?P<key>\w+) == "(?P<value>\w+)"\))?\.(?P<field>\w+)')
"""What is known of jq: ``.LIST[].FIELD``, where a key has a value."""


def install_gh(folder: Path, releases: Path, refused: Sequence[str]) -> Path:
    """Put a ``gh`` into ``folder``, which it returns; the commands ``refused`` fail as where GitHub is not reached."""
    folder.mkdir()
    words = [sys.executable, str(Path(__file__)), str(releases), ",".join(refused)]
    (folder / "gh").write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    (folder / "gh").chmod(0o755)
    return folder


def end(reason: str) -> NoReturn:
    sys.exit(f"gh: {reason}")


def main(releases: Path, refused: Sequence[str], arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Do one command.

    Raises:
        SystemExit: it is not known here, refused, or not allowed by the token of its job.
    """
    name = " ".join(arguments[:2])
    if environment.get("GH_REPO") != REPOSITORY:
        end(f"GH_REPO is {environment.get('GH_REPO')!r}")
    if name not in COMMANDS:
        end(f"{name!r} is not known")
    command, access, known = COMMANDS[name]
    if json.loads(environment["GH_TOKEN"]).get("contents") not in (access, "write"):
        end("HTTP 403: Resource not accessible by integration")
    words, options = parse(arguments[2:], known)
    if name in refused and command is not upload:
        end("HTTP 503: Service Unavailable")
    releases.mkdir(exist_ok=True)
    if command is list_releases:
        command(releases, words, options)
        return
    release = releases / words[0]
    if not release.is_dir() and command is not create:
        end("release not found")
    command(release, words[1:], options)
    if name in refused:
        (release / words[1]).rename(release / f"{words[1]}{STARTER}")
        end("HTTP 503: Service Unavailable")


def parse(arguments: Sequence[str], known: Mapping[str, bool]) -> tuple[list[str], dict[str, str]]:
    """Words and options; ``known`` says of each option whether it takes a value."""
    words, options, left = [], {}, list(arguments)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            words.append(word)
        elif word in known:
            options[word] = left.pop(0) if known[word] else ""
        else:
            end(f"unknown flag: {word}")
    return words, options


def show(found: Any, options: Mapping[str, str]) -> None:
    """Print what ``--jq`` asks of an answer."""
    query = QUERY.fullmatch(options["--jq"])
    if query is None:
        end(f"jq: {options['--jq']!r} is not known")
    for one in found[query["list"]] if query["list"] else found:
        if query["key"] is None or one[query["key"]] == query["value"]:
            print(one[query["field"]])


def list_releases(releases: Path, words: Sequence[str], options: Mapping[str, str]) -> None:
    found = [{"tagName": release.name} for release in sorted(releases.iterdir())]
    show(found[: int(options["--limit"])], options)


def view(release: Path, words: Sequence[str], options: Mapping[str, str]) -> None:
    assets = [
        {"name": asset.name.removesuffix(STARTER), "state": "starter" if asset.suffix == STARTER else "uploaded"}
        for asset in sorted(release.iterdir())
    ]
    show({options["--json"]: assets}, options)


def create(release: Path, words: Sequence[str], options: Mapping[str, str]) -> None:
    if release.exists():
        end("a release with the same tag name already exists")
    release.mkdir()


def upload(release: Path, words: Sequence[str], options: Mapping[str, str]) -> None:
    (file,) = words
    if any(asset.name.removesuffix(STARTER) == file for asset in release.iterdir()):
        end("asset under the same name already exists")
    shutil.copy(file, release / file)


def download(release: Path, words: Sequence[str], options: Mapping[str, str]) -> None:
    found = fnmatch.filter([asset.name for asset in release.iterdir()], options["--pattern"])
    if len(found) != 1:
        end(f"{len(found)} assets match the file pattern")
    shutil.copy(release / found[0], options["--output"])


def delete_asset(release: Path, words: Sequence[str], options: Mapping[str, str]) -> None:
    (name,) = words
    if "--yes" not in options or not (release / name).is_file():
        end(f"{name} is not deleted")
    (release / name).unlink()


Command = Callable[[Path, Sequence[str], Mapping[str, str]], None]
COMMANDS: dict[str, tuple[Command, str, dict[str, bool]]] = {
    "release list": (list_releases, "read", {"--limit": True, "--json": True, "--jq": True}),
    "release view": (view, "read", {"--json": True, "--jq": True}),
    "release download": (download, "read", {"--pattern": True, "--output": True}),
    "release create": (create, "write", {"--prerelease": False, "--title": True, "--notes": True}),
    "release upload": (upload, "write", {}),
    "release delete-asset": (delete_asset, "write", {"--yes": False}),
}
"""The commands that are known here: what does it, what its token must allow of contents, and its options."""

if __name__ == "__main__":
    import os

    main(Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3:], os.environ)
