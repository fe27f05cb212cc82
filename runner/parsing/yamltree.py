"""YAML text → plain dicts, lists and scalars, within bounds that hold before anything is built.

libyaml's events are read one by one, so that a file which nests or expands without end is refused at its first step
over a bound: nesting alone makes libyaml's own composer quadratic, and its recursion can end the process. What people
write without meaning it is refused as well: a key that stands twice, a date, a number such as `010` or `1_000`
(YAML 1.1 reads 8 and 1000, https://yaml.org/type/int.html), tags and merge keys.
"""

import math
import re
from typing import Any

import yaml

from runner.errors import UserError
from runner.parsing.characters import shown, unfit

MAX_DEPTH = 20
MAX_NODES = 20_000
MAX_ALIASES = 100

_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,14})")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_TRUE = frozenset({"yes", "true", "on"})
_BOOLS = _TRUE | {"no", "false", "off"}
_PLAIN = yaml.CSafeLoader.yaml_implicit_resolvers  # by the first character: tags and how their values look
_QUOTE = "put it in quotes if it is meant as text, else write it as a plain decimal number"


def read(text: str, name: str) -> dict[str, Any]:
    """The one mapping that `text` holds. `name` is the file's, for messages.

    Raises `UserError` with the line for anything but a single mapping of text keys within the bounds above.
    """
    loader = yaml.CSafeLoader(text.removeprefix("\ufeff"))
    try:
        return _Reader(loader, name).document()
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, name) from error
    except yaml.YAMLError as error:  # a character that YAML has no place for; `_characters` names the line
        raise _character(text, name) from error
    finally:
        loader.dispose()


def _syntax(error: yaml.MarkedYAMLError, name: str) -> UserError:
    mark = error.problem_mark or error.context_mark
    line = f" (line {mark.line + 1})" if mark else ""
    return UserError(
        f"{name}: this is not YAML: {error.problem or error.context}{line}",
        "look at the indentation there (spaces, never tabs), and put text that holds `: ` or ` #`, "
        "or begins with one of []{}&*!|>%@`, in quotes",
    )


def _character(text: str, name: str) -> UserError:
    for number, line in enumerate(text.split("\n"), 1):
        found = unfit(line, "\t\r\x85\u2028\u2029")
        if found:
            return UserError(f"{name}: the character {found} cannot stand in YAML (line {number})", "remove it")
    return UserError(f"{name}: a character in it cannot stand in YAML", "save the file as plain UTF-8 text")


class _Reader:
    """Builds values from the events of one file, counting as it goes."""

    def __init__(self, loader: yaml.CSafeLoader, name: str) -> None:
        self.loader = loader
        self.name = name
        self.nodes = 0
        self.aliases = 0
        self.anchors: dict[str, tuple[Any, int]] = {}

    def document(self) -> dict[str, Any]:
        self._next()  # the stream's start
        if isinstance(self._next(), yaml.StreamEndEvent):
            raise UserError(f"{self.name}: the file is empty", "write its keys, each as `key: value`")
        event = self._next()
        if not isinstance(event, yaml.MappingStartEvent):
            raise self._refusal(event, "this is not a mapping", "write each thing as `key: value`")
        value: dict[str, Any] = self._value(event, 0)
        self._next()  # the document's end
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._refusal(event, "a second document begins here", "remove the `---`; one file is one mapping")
        return value

    def _next(self) -> Any:
        return self.loader.get_event()

    def _refusal(self, event: Any, what: str, remedy: str) -> UserError:
        return UserError(f"{self.name}: {what} (line {event.start_mark.line + 1})", remedy)

    def _value(self, event: Any, depth: int) -> Any:
        self._count(event, 1)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if depth > MAX_DEPTH:
            raise self._refusal(event, f"this is nested more than {MAX_DEPTH} deep", "write it flatter")
        before = self.nodes
        value = self._built(event, depth)
        if event.anchor:
            self.anchors[event.anchor] = value, self.nodes - before
        return value

    def _count(self, event: Any, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise self._refusal(event, f"the file holds more than {MAX_NODES} values", "write less, or split the file")

    def _alias(self, event: Any) -> Any:
        """The value of an anchor whose value is complete: one that holds itself is unknown while it is being read."""
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            raise self._refusal(event, f"the file holds more than {MAX_ALIASES} aliases", "write the values out")
        if event.anchor not in self.anchors:
            raise self._refusal(event, f"the alias *{event.anchor} has no anchor before it", "write the value out")
        value, nodes = self.anchors[event.anchor]
        self._count(event, nodes)
        return value

    def _built(self, event: Any, depth: int) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        sequence = isinstance(event, yaml.SequenceStartEvent)
        if event.tag not in (None, _TAG + ("seq" if sequence else "map")):
            raise self._tag(event)
        return self._sequence(depth) if sequence else self._mapping(depth)

    def _sequence(self, depth: int) -> list[Any]:
        items = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._value(event, depth + 1))
        return items

    def _mapping(self, depth: int) -> dict[str, Any]:
        items: dict[str, Any] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event)
            if key in items:
                what = f"the key `{shown(key)}` stands twice, first in line {lines[key]}"
                raise self._refusal(event, what, "keep one of the two")
            lines[key] = event.start_mark.line + 1
            items[key] = self._value(self._next(), depth + 1)
        return items

    def _key(self, event: Any) -> str:
        self._count(event, 1)
        if not isinstance(event, yaml.ScalarEvent) or event.anchor:
            raise self._refusal(event, "a key here is not plain text", "write keys as words")
        kind = self._resolved(event)
        if kind == "str":
            return str(event.value)
        if kind == "merge":
            raise self._refusal(event, "merge keys (`<<`) are not read", "write the keys out")
        key = self._scalar(event)
        if not isinstance(key, str):
            what = f"the key `{shown(event.value)}` is read as a {type(key).__name__}, not as text"
            raise self._refusal(event, what, f'put it in quotes: "{shown(event.value)}"')
        return key

    def _resolved(self, event: Any) -> str:
        """What a scalar is read as: by its tag, else by how it is written; in quotes it is text."""
        if event.tag:
            return str(event.tag).removeprefix(_TAG)
        if event.implicit[0]:
            for tag, pattern in _PLAIN.get(event.value[:1], ()):
                if pattern.match(event.value):
                    return str(tag).removeprefix(_TAG)
        return "str"

    def _scalar(self, event: Any) -> str | int | float | bool | None:
        text, kind = event.value, self._resolved(event)
        if kind == "str":
            return str(text)
        if kind == "null":
            return None
        if kind == "bool" and text.lower() in _BOOLS:
            return text.lower() in _TRUE
        if kind == "int" and _INT.fullmatch(text):
            return int(text)
        if kind == "float" and _FLOAT.fullmatch(text) and math.isfinite(float(text)):
            return float(text)
        raise self._trap(event, kind)

    def _trap(self, event: Any, kind: str) -> UserError:
        if event.tag or kind not in ("int", "float", "timestamp", "merge", "value"):
            return self._tag(event)
        text = shown(event.value)
        if kind in ("int", "float"):
            return self._refusal(event, f"`{text}` is a number written in a way that is easily misread", _QUOTE)
        read_as = "a date" if kind == "timestamp" else "a sign of its own"
        return self._refusal(event, f"`{text}` is read as {read_as}", f'put it in quotes: "{text}"')

    def _tag(self, event: Any) -> UserError:
        return self._refusal(event, f"the tag `{shown(event.tag or '')}` is not read here", "remove it")
