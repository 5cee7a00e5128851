"""YAML files that a user writes, as nodes: each knows its line, which every fault names."""

from __future__ import annotations

from pathlib import Path

import yaml

from pipeline.errors import FileFaultsError


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        FileFaultsError: it is not UTF-8.
        OSError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise FileFaultsError([f"{path}: is not UTF-8 text"]) from None


def compose(text: str, name: str) -> yaml.Node | None:
    """The root of a text of YAML; None where it is empty. ``name`` is that of its file.

    Raises:
        FileFaultsError: it is no YAML; the fault names the line.
    """
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FileFaultsError([f"{name}:{line}: is no YAML: {error.problem}"]) from None
    except yaml.YAMLError as error:
        raise FileFaultsError([f"{name}: is no YAML: {' '.join(str(error).split())}"]) from None
