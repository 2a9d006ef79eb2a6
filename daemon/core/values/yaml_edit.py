"""Small edits of YAML that leave everything else as it was written: comments, order, quotes.

A place is (document, key or index, …): documents are counted from 0. Every edit returns the new
text, whose lines end as those before did; what it means is for the caller to check, by reading it.
What an alias (`*name`) stands for is not edited: it is written elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

_Place = Sequence[str | int]


class NotEditable(ValueError):
    """The place is not there, or is written in a way that is not edited; the text says which."""


def replace_scalar(text: str, place: _Place, new: str) -> str:
    """Put `new` (YAML, on one line) in the place of a scalar. Raises NotEditable."""
    node = _node(text, place)
    if not isinstance(node, yaml.ScalarNode) or node.style in {"|", ">"}:
        raise NotEditable(f"{_shown(place)} is no value on one line")
    if text[node.start_mark.index : node.start_mark.index + 1] in {"&", "!"}:
        raise NotEditable(f"{_shown(place)} has an anchor or a tag, which others may refer to")
    return text[: node.start_mark.index] + new + text[node.end_mark.index :]


def set_key(text: str, place: _Place, lines: Sequence[str]) -> str:
    """Give a mapping, in which it is missing, the last key of the place; its value is `lines`: of
    one line it stands beside the key, of several below it. Raises NotEditable."""
    mapping, key = _node(text, place[:-1]), str(place[-1])
    if not isinstance(mapping, yaml.MappingNode):
        raise NotEditable(f"{_shown(place[:-1])} is no mapping")
    if key in (name.value for name, _ in mapping.value):
        raise NotEditable(f"{_shown(place)} is there already")
    if mapping.flow_style:
        if len(lines) != 1:
            raise NotEditable(f"{_shown(place[:-1])} is written on one line")
        return _into_flow(text, mapping, f"{key}: {lines[0]}")
    column = " " * mapping.start_mark.column
    written = (
        [f"{column}{key}: {lines[0]}"]
        if len(lines) == 1
        else [f"{column}{key}:", *(f"{column}  {line}" for line in lines)]
    )
    return _after(text, mapping, written)


def append_item(text: str, place: _Place, lines: Sequence[str]) -> str:
    """Add an item at the end of a list; of a list that is written on one line it takes the first
    line alone. Raises NotEditable."""
    node = _node(text, place)
    if not isinstance(node, yaml.SequenceNode):
        raise NotEditable(f"{_shown(place)} is no list")
    if node.flow_style:
        if len(lines) != 1:
            raise NotEditable(f"{_shown(place)} is written on one line")
        return _into_flow(text, node, lines[0])
    column = " " * node.start_mark.column
    first, rest = lines[0], lines[1:]
    return _after(text, node, [f"{column}- {first}", *(f"{column}  {line}" for line in rest)])


def _into_flow(text: str, node: Any, added: str) -> str:
    """As the last one in it: behind the present last one, for after that a comment may stand."""
    if node.value:
        end = _end(node)
        return f"{text[:end]}, {added}{text[end:]}"
    close = node.end_mark.index - 1
    return f"{text[:close]}{added}{text[close:]}"


def _after(text: str, node: Any, lines: Sequence[str]) -> str:
    """The lines after the line on which the last thing in the node ends."""
    end, line_end = _end(node), "\r\n" if "\r\n" in text else "\n"
    if end and text[end - 1] == "\n":
        at = end
    else:
        newline = text.find("\n", end)
        at = len(text) if newline < 0 else newline + 1
    before = text[:at] if text[:at].endswith("\n") or not text[:at] else text[:at] + line_end
    return before + "".join(line + line_end for line in lines) + text[at:]


def _end(node: Any) -> int:
    """Where the last scalar or closed collection in it ends; a block's own mark is behind the
    comments after it."""
    if not isinstance(node, yaml.CollectionNode) or not node.value:
        return int(node.end_mark.index)
    parts = [part for one in node.value for part in (one if isinstance(one, tuple) else (one,))]
    last, before = parts[-1], parts[-2] if len(parts) > 1 else None
    begins = node.start_mark.index if before is None else before.end_mark.index
    if last.start_mark.index < begins:
        raise NotEditable("it ends with an alias")
    inside = last.flow_style if isinstance(last, yaml.CollectionNode) else True
    return int(last.end_mark.index) if inside else _end(last)


def _node(text: str, place: _Place) -> Any:
    nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    found: Any = nodes
    for depth, part in enumerate(place):
        inner = _inside(found, part)
        if inner is None:
            raise NotEditable(f"there is no {_shown(place[: depth + 1])}")
        found = inner
    return found


def _inside(node: Any, part: str | int) -> Any:
    if isinstance(node, list | yaml.SequenceNode):
        items = node if isinstance(node, list) else node.value
        return items[part] if isinstance(part, int) and part < len(items) else None
    if isinstance(node, yaml.MappingNode):
        return next((_own(n, value) for n, value in node.value if n.value == str(part)), None)
    return None


def _own(name: Any, value: Any) -> Any:
    """The value as it is written behind its name. Raises NotEditable."""
    if value.start_mark.index < name.end_mark.index:
        raise NotEditable(f"{name.value} is an alias of what is written elsewhere")
    return value


def _shown(place: _Place) -> str:
    return ".".join(str(part) for part in place[1:]) or "the document"


def find_document(text: str, key: str, value: str) -> int | None:
    """Which document of the text has that value at the top; None if none has, or it is no YAML."""
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError:
        return None
    for number, node in enumerate(nodes):
        try:
            found = _inside(node, key)
        except NotEditable:
            continue
        if isinstance(found, yaml.ScalarNode) and found.value == value:
            return number
    return None
