"""Tables as the page of a snapshot holds them: column by column, small and fast to decode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Cell = str | int | float | bool | None | Sequence[str]
Encoded = dict[str, Any]


def encode_column(values: Sequence[Cell], order: Mapping[str, str] | None = None) -> Encoded:
    """A column as JSON that deflates well and decodes fast.

    ========== ==================== ============================================================
    ``c``      the one value        every row has it
    ``w``,``t`` width, joined texts  texts of one width, no two the same, such as hashes
    ``d``,``i`` texts, positions     each text once, and a row's position among them, -1 for NULL
    ``d``,``l``,``i``                 the same for lists of texts: ``l`` has each list once
    ``v``      values               numbers and truth values
    ========== ==================== ============================================================

    Texts stand in text order, or in that of their keys in ``order``.
    """
    if values and all(value == values[0] and type(value) is type(values[0]) for value in values):
        return {"c": values[0]}
    if all(value is None or isinstance(value, int | float) for value in values):
        return {"v": list(values)}
    if order is None and _are_codes(values):
        return {"w": len(str(values[0])), "t": "".join(map(str, values))}
    if any(isinstance(value, list | tuple) for value in values):
        return _encode_lists([None if value is None else tuple(_as_texts(value)) for value in values], order)
    texts = _sort_texts(set(values), order)
    place: dict[Any, int] = {text: index for index, text in enumerate(texts)}
    return {"d": texts, "i": list(map({**place, None: -1}.__getitem__, values))}


def _encode_lists(values: Sequence[tuple[str, ...] | None], order: Mapping[str, str] | None) -> Encoded:
    distinct = sorted({one for one in values if one is not None})
    texts = _sort_texts({text for one in distinct for text in one}, order)
    position = {text: index for index, text in enumerate(texts)}
    place: dict[Any, int] = {one: index for index, one in enumerate(distinct)}
    return {
        "d": texts,
        "l": [[position[text] for text in one] for one in distinct],
        "i": list(map({**place, None: -1}.__getitem__, values)),
    }


def _sort_texts(values: Iterable[Cell], order: Mapping[str, str] | None) -> list[str]:
    """Texts in their order or that of their keys; NULL is left out."""
    texts = [value for value in values if isinstance(value, str)]
    return sorted(texts, key=lambda text: (order.get(text, ""), text)) if order else sorted(texts)


def _are_codes(values: Sequence[Cell]) -> bool:
    """Whether the values are ASCII texts of one width, no two the same."""
    texts = [value for value in values if isinstance(value, str) and value.isascii()]
    return len(texts) == len(values) == len(set(texts)) and len({len(text) for text in texts}) == 1


def _as_texts(value: Cell) -> Iterable[str]:
    return (value,) if isinstance(value, str) else value  # type: ignore[return-value]


def encode_table(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]], orders: Mapping[str, Mapping[str, str]] | None = None
) -> Encoded:
    """A table as columns; ``orders`` has, by column, the keys by which its texts are sorted."""
    turned = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return {
        "rows": len(rows),
        "columns": {
            name: encode_column(list(values), (orders or {}).get(name))
            for name, values in zip(columns, turned, strict=True)
        },
    }
