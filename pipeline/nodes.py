"""YAML files that people write: their nodes, checked one by one, with the line of each fault.

A file is read as nodes, not as values: a node knows its line, and keeps a text such as ``1.10`` as it is.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from pipeline.errors import FileFaultsError

TRUE, FALSE = ("true", "yes", "on"), ("false", "no", "off")
LONGEST_NUMBER = 9
"""Digits: more would not fit where the number goes, to DuckDB or to the system."""
_DECIMAL = re.compile(r"[0-9.]+(?:[eE][+-]?[0-9]+)?")


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
        line, reason = error.problem_mark.line if error.problem_mark else 0, f"is no YAML: {error.problem}"
    except RecursionError:
        line, reason = loader.line, "is nested too deeply"
    except (OverflowError, ValueError):
        line, reason = loader.line, "is no YAML: the number of an escape or of YAML's version is too large"
    raise FileFaultsError([f"{name}:{line + 1}: {reason}"])


class NodeReader:
    """Checks the nodes of a file one by one, and goes on after a fault.

    ``name`` is the file; files that it names are in ``folder``. ``faults`` are (line, text).
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.faults: list[tuple[int, str]] = []

    def refuse(self, node: yaml.Node, reason: str) -> None:
        line = line_of(node)
        self.faults.append((line, f"{self.name}:{line}: {reason}"))

    def mapping(
        self, node: yaml.Node, place: str, keys: Sequence[str], required: Sequence[str] = ()
    ) -> dict[str, yaml.Node]:
        """The values of a mapping that has no keys but ``keys``."""
        if not isinstance(node, yaml.MappingNode):
            self.refuse(node, f"{place}: keys are expected: {', '.join(keys)}")
            return {}
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if key.value not in keys:
                self.refuse(key, f"{place}: {show_node(key)} is no key of it; there are: {', '.join(keys)}")
            elif key.value in found:
                self.refuse(key, f"{place}: {key.value!r} a second time")
            else:
                found[key.value] = value
        for key in required:
            if key not in found:
                self.refuse(node, f"{place}: {key!r} is missing")
        return found

    def items(self, node: yaml.Node | None, place: str) -> list[tuple[yaml.Node, str]]:
        """The items of a list, each with its place."""
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.refuse(node, f"{place}: a list is expected")
            return []
        return [(item, f"{place}[{number}]") for number, item in enumerate(node.value)]

    def text(self, node: yaml.Node | None, place: str, default: str = "") -> str:
        if node is None:
            return default
        if not isinstance(node, yaml.ScalarNode) or not node.value.strip() or is_null(node):
            self.refuse(node, f"{place}: a text is expected")
            return default
        return str(node.value)

    def number(self, node: yaml.Node | None, place: str) -> int | None:
        if node is None:
            return None
        if not isinstance(node, yaml.ScalarNode) or not re.fullmatch("[0-9]+", node.value):
            self.refuse(node, f"{place}: {show_node(node)} is no whole number from 0 on")
        elif len(node.value) > LONGEST_NUMBER:
            self.refuse(node, f"{place}: {show_node(node)} is too large")
        else:
            return int(node.value)
        return None

    def share(self, node: yaml.Node | None, place: str) -> float | None:
        if node is None:
            return None
        try:
            if (
                isinstance(node, yaml.ScalarNode)
                and _DECIMAL.fullmatch(node.value)
                and 0 <= (share := float(node.value)) <= 1
            ):
                return share
        except ValueError:
            pass
        self.refuse(node, f"{place}: {show_node(node)} is no share from 0 to 1")
        return None

    def date(self, node: yaml.Node | None, place: str) -> dt.date:
        if node is not None:
            try:
                if isinstance(node, yaml.ScalarNode):
                    return dt.date.fromisoformat(node.value)
            except ValueError:
                pass
            self.refuse(node, f"{place}: {show_node(node)} is no date such as 2026-12-31")
        return dt.date.min

    def flag(self, node: yaml.Node | None, place: str, default: bool = False) -> bool:
        if node is None:
            return default
        text = node.value.lower() if isinstance(node, yaml.ScalarNode) else ""
        if text not in (*TRUE, *FALSE):
            self.refuse(node, f"{place}: {show_node(node)} is neither true nor false")
        return text in TRUE

    def texts(self, node: yaml.Node | None, place: str) -> list[str]:
        """A list of texts; one text is a list of it alone."""
        if isinstance(node, yaml.ScalarNode):
            return [self.text(node, place)]
        return [self.text(*item) for item in self.items(node, place)]


def line_of(node: yaml.Node) -> int:
    """The line on which a node begins, from 1 on."""
    return int(node.start_mark.line) + 1


def is_null(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def show_node(node: yaml.Node) -> str:
    """A node as a message names it."""
    return repr(node.value) if isinstance(node, yaml.ScalarNode) else "that"
