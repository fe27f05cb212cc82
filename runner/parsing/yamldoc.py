"""YAML files ↔ frozen values: strict when read, one way only when written."""

import re
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
import yaml

from runner.errors import UserError
from runner.parsing import yamltree
from runner.parsing.characters import shown, whole
from runner.parsing.explain import Fault, Path, explain, where

LIMIT = 256 * 1024
"""Bytes of a file that people write."""

T = TypeVar("T")


def load(data: bytes, name: str, type: type[T], limit: int = LIMIT) -> T:
    """The value that the YAML file `name` with the content `data` stands for.

    Raises `UserError` that names file, key, line and remedy: for anything but one UTF-8 mapping of at most `limit`
    bytes that `yamltree` reads and the struct `type` takes without unknown keys.
    """
    plain = yamltree.read(_text(data, name, limit), name)
    try:
        return msgspec.convert(plain, type)
    except msgspec.ValidationError as error:
        path = where(error, plain)
        refuse([explain(error, path, plain, type, _node(data, path)[1])], data, name)
        raise


def refuse(faults: Iterable[Fault], data: bytes, name: str) -> None:
    """Raises the first of `faults`, if any, as a `UserError` with the line in `data`, which `yamltree` could read."""
    for path, what, remedy in faults:
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{shown(part)}" for part in path)
        place = f"{name}: {key[1:]}: " if key else f"{name}: "
        raise UserError(f"{place}{what} (line {_node(data, path)[0]})", remedy)


def _text(data: bytes, name: str, limit: int) -> str:
    if len(data) > limit:
        remedy = "shorten it; long material belongs into files of its own that it names"
        raise UserError(f"{name}: the file has {len(data)} bytes, more than {limit}", remedy)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{name}: this is not UTF-8 (line {line})", "save the file in the encoding UTF-8") from error


def _node(data: bytes, path: Path) -> tuple[int, str]:
    """The line where `path` stands, and the scalar there as it is written. `data` is known to be within bounds."""
    node: Any = yaml.compose(data.decode(), Loader=yaml.CSafeLoader)
    line = 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == part), None)
        else:
            found = (node.value[part],) * 2 if isinstance(part, int) and part < len(node.value) else None
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line, node.value if isinstance(node, yaml.ScalarNode) else ""


_SPECIAL = re.compile(r"[^\t\n -~\xa0-\u2027\u202a-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def dump(value: Any) -> bytes:
    """`value` (a struct, or plain values) as YAML: block style, keys in the struct's order, never tagged or aliased.

    What `load` reads from it is equal to `value`, and dumped again it is the same bytes. Only a lone surrogate, half a
    character, is written as U+FFFD.
    """
    plain = msgspec.to_builtins(value)
    return yaml.dump(
        plain,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=1 << 30,
        encoding="utf-8",
    )


class _Dumper(yaml.SafeDumper):
    """Not libyaml's: that one writes an emoji as an escape."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)  # lists stand under their key, not beside it

    def represent_str(self, text: str) -> yaml.ScalarNode:
        clean = whole(text)
        style = '"' if _SPECIAL.search(clean) else "|" if "\n" in clean else None
        return self.represent_scalar("tag:yaml.org,2002:str", clean, style=style)


_Dumper.add_representer(str, _Dumper.represent_str)
