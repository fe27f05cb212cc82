"""Strict acting: a name and whatever came as its arguments → a call that its schema accepts, or a teaching error.

The schemas are those that `runner.tools` derives from signatures, a small part of JSON Schema; values that can only
mean one thing are taken as that ("3" where a number belongs), everything else is explained to the model.
"""

import json
import math
import re
from typing import Any

from runner.models import ToolCall, ToolSpec
from runner.models.wire import well_formed
from runner.protocols.values import Malformed

# What models trained on other harnesses call the same tool (docs/models.md, "Reading a reply").
ALIASES = {
    **dict.fromkeys(("execute", "execute_bash", "run", "run_command", "run_shell_command", "sh", "shell"), "bash"),
    **dict.fromkeys(("cat", "open", "open_file", "read", "read_file", "view_file"), "view"),
    **dict.fromkeys(("create_file", "write_file", "write_to_file"), "write"),
    **dict.fromkeys(("find", "grep", "search_files"), "search"),
    **dict.fromkeys(("done", "submit", "complete"), "finish"),
}

_WORDS = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


class _Unfit(Exception):
    """A value that a schema refuses; the text says what was wanted."""


def known(name: str, tools: tuple[ToolSpec, ...]) -> ToolSpec | None:
    """The tool that a model means by `name`, which may carry `functions.` before it, `:0` after it or another case."""
    plain = re.sub(r":\d+$", "", name.strip()).rpartition(".")[2].lower()
    by_name = {tool.name.lower(): tool for tool in tools}
    return by_name.get(plain) or by_name.get(ALIASES.get(plain, ""))


def accept(name: str, arguments: object, tools: tuple[ToolSpec, ...], call_id: str = "") -> ToolCall | Malformed:
    """A call of one of `tools` with arguments that fit its schema, or what to tell the model. Never raises."""
    tool = known(name, tools)
    if tool is None:
        names = ", ".join(tool.name for tool in tools)
        return Malformed(f"There is no tool {name[:60]!r} now. Use one of: {names}.", "tool")
    try:
        fitting = _fit_object(_decoded(arguments), tool.parameters)
    except _Unfit as unfit:
        return Malformed(f"{tool.name}: {unfit}. {usage(tool)}", "arguments")
    return ToolCall(tool.name, fitting, well_formed(call_id))


def usage(tool: ToolSpec) -> str:
    """One sentence on a tool's arguments: `bash takes command (a string), timeout (a whole number, optional).`"""
    required = tool.parameters.get("required", ())
    parts = [
        f"{name} ({_wanted(schema)}{'' if name in required else ', optional'})"
        for name, schema in tool.parameters.get("properties", {}).items()
    ]
    return f"{tool.name} takes {', '.join(parts) or 'no arguments'}."


def _decoded(arguments: object) -> dict[str, Any]:
    """Arguments as an object: some servers and models send them as a string of JSON, or null for none."""
    if isinstance(arguments, str) and arguments.strip():
        try:
            arguments = json.loads(arguments, strict=False)
        except (ValueError, RecursionError) as problem:
            raise _Unfit("the arguments are not valid JSON") from problem
    if not arguments:
        return {}
    if not isinstance(arguments, dict):
        raise _Unfit("the arguments must be an object")
    return arguments


def _fit_object(arguments: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = schema.get("properties", {})
    required = schema.get("required", ())
    given = {str(key): value for key, value in arguments.items() if value is not None or key in required}
    unknown = [key for key in given if key not in properties]
    if unknown and schema.get("additionalProperties") is not True:
        raise _Unfit(f"there is no argument {unknown[0][:60]!r}")
    missing = [key for key in required if key not in given]
    if missing:
        raise _Unfit(f"the argument {missing[0]!r} is missing")
    return {key: _fit_named(key, value, properties.get(key, {})) for key, value in given.items()}


def _fit_named(key: str, value: object, schema: dict[str, Any]) -> Any:
    try:
        return fit(value, schema)
    except _Unfit as unfit:
        raise _Unfit(f"{key!r} {unfit}") from unfit


def fit(value: object, schema: dict[str, Any]) -> Any:
    """`value` as `schema` wants it. Raises a private error whose text completes "'key' …"."""
    kinds = _kinds(schema)
    fitting = next((new for kind in kinds if (new := _as_kind(value, kind, schema)) is not _NOTHING), _NOTHING)
    if not kinds:
        fitting = _printable(value)
    if fitting is _NOTHING or (schema.get("enum") and fitting not in schema["enum"]):
        raise _Unfit(f"must be {_wanted(schema)}")
    _check_bounds(fitting, schema)
    return fitting


_NOTHING = object()


def _kinds(schema: dict[str, Any]) -> tuple[str, ...]:
    if "anyOf" in schema:
        return tuple(kind for option in schema["anyOf"] for kind in _kinds(option))
    kind = schema.get("type", ())
    return (kind,) if isinstance(kind, str) else tuple(kind)


def _wanted(schema: dict[str, Any]) -> str:
    if schema.get("enum"):
        return "one of " + ", ".join(map(str, schema["enum"]))
    return " or ".join(_WORDS.get(kind, kind) for kind in _kinds(schema) if kind != "null") or "any value"


def _as_kind(value: object, kind: str, schema: dict[str, Any]) -> Any:
    """`value` as a `kind` of JSON, `_NOTHING` where that would be a guess."""
    match kind, value:
        case "string", str():
            return _printable(value)
        case "string", bool() | int() | float():
            return json.dumps(value)
        case "boolean", bool():
            return value
        case "boolean", str() if value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        case (("integer" | "number"), (int() | float() | str())) if not isinstance(value, bool):
            return _as_number(value, whole=kind == "integer")
        case "array", list():
            return [fit(item, schema.get("items", {})) for item in value]
        case "object", dict():
            return _fit_object(value, schema) if "properties" in schema else _printable(value)
        case "null", None:
            return None
    return _NOTHING


def _as_number(value: int | float | str, *, whole: bool) -> Any:
    try:
        number = int(value) if isinstance(value, str) and value.strip().lstrip("+-").isdigit() else float(value)
    except (ValueError, OverflowError):
        return _NOTHING
    if not math.isfinite(number) or (whole and number != int(number)):
        return _NOTHING
    return int(number) if whole or isinstance(value, int) else number


def _check_bounds(value: object, schema: dict[str, Any]) -> None:
    """The bounds that tools use."""
    if isinstance(value, str):
        _check_length(value, schema)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            raise _Unfit(f"must be at least {schema['minimum']}")
        if value > schema.get("maximum", value):
            raise _Unfit(f"must be at most {schema['maximum']}")


def _check_length(value: str, schema: dict[str, Any]) -> None:
    if "\0" in value:
        # No argument of a process and no path can hold it, so it would fail further down as our own bug.
        raise _Unfit("holds a zero byte")
    if len(value) < schema.get("minLength", 0):
        raise _Unfit("must not be empty")
    if len(value) > schema.get("maxLength", len(value)):
        raise _Unfit(f"must have at most {schema['maxLength']} characters")


def _printable(value: Any) -> Any:
    """`value` as it can be written down."""
    match value:
        case str():
            return well_formed(value)
        case list():
            return [_printable(item) for item in value]
        case dict():
            return {_printable(str(key)): _printable(item) for key, item in value.items()}
    return value
