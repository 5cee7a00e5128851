"""YAML that people write, as values that keep what was written and know their lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from pipeline.errors import FileFaultsError
from pipeline.io.urls import hide_secrets, show_url


class Scalar(str):
    """A scalar as it was written: ``1.10`` stays ``1.10``."""

    line: int


class Null(Scalar):
    """A scalar that stands for nothing, such as ``~``; empty where nothing is written."""


class Items(list[Any]):
    """A list."""

    line: int


class Keyed(dict[str, Any]):
    """A mapping; ``more`` are (key, value) of keys that are there again, and of those that are no texts."""

    line: int
    more: list[tuple[Any, Any]]


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        FileFaultsError: it is no UTF-8.
        OSError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise FileFaultsError([f"{path}: is not UTF-8 text"]) from None


class _Loader(yaml.SafeLoader):
    """Refuses half of a surrogate pair, which an escape may spell and no file and no output may hold."""

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node: yaml.ScalarNode = super().compose_scalar_node(anchor)
        if any("\ud800" <= character <= "\udfff" for character in node.value):
            raise yaml.MarkedYAMLError(problem="an escape is half of a character", problem_mark=node.start_mark)
        return node


def compose(text: str, name: str) -> yaml.Node | None:
    """The root of a text of YAML, None where it is empty.

    Raises:
        FileFaultsError: it is no YAML.
    """
    try:
        loader = _Loader(text)
    except ReaderError as error:
        line = text.count("\n", 0, error.position)
        reason = f"the character U+{ord(text[error.position]):04X} is not allowed"
        raise FileFaultsError([f"{name}:{line + 1}: is no YAML: {reason}"]) from None
    try:
        root: yaml.Node | None = loader.get_single_node()
        return root
    except yaml.MarkedYAMLError as error:
        line, reason = (
            error.problem_mark.line if error.problem_mark else 0,
            f"is no YAML: {hide_secrets(str(error.problem))}",
        )
    except RecursionError:
        line, reason = loader.line, "is nested too deeply"
    except (OverflowError, ValueError):
        line, reason = loader.line, "is no YAML: the number of an escape or of YAML's version is too large"
    raise FileFaultsError([f"{name}:{line + 1}: {reason}"])


def read_values(text: str, name: str) -> Any:
    """What a text of YAML spells, None where it is empty.

    Raises:
        FileFaultsError: it is no YAML.
    """
    root = compose(text, name)
    return None if root is None else _to_value(root, {})


def _to_value(node: yaml.Node, known: dict[int, Any]) -> Any:
    """What a node spells; ``known`` has the values of others: an alias may even stand for one that holds it."""
    if id(node) in known:
        return known[id(node)]
    value: Scalar | Items | Keyed
    if isinstance(node, yaml.ScalarNode):
        value = (Null if node.tag == "tag:yaml.org,2002:null" else Scalar)(node.value)
    elif isinstance(node, yaml.SequenceNode):
        known[id(node)] = value = Items()
        for item in node.value:
            value.append(_to_value(item, known))
    else:
        known[id(node)] = value = Keyed()
        value.more = []
        for key_node, item in node.value:
            key = Scalar(key_node.value) if isinstance(key_node, yaml.ScalarNode) else Items()
            key.line = key_node.start_mark.line + 1
            held = _to_value(item, known)
            if isinstance(key, Scalar) and key not in value:
                value[key] = held
            else:
                value.more.append((key, held))
    value.line = node.start_mark.line + 1
    return value


def line_of(value: object) -> int:
    return int(getattr(value, "line", 1))


def show(value: object) -> str:
    """A value as a message names it; a URL without what may be secret."""
    return repr(show_url(str(value))) if isinstance(value, str) else "that"
