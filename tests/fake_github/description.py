"""GitHub's own description of its API, as a judge of what we send and of what the fake answers."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from jsonschema import Draft202012Validator

SOURCE = Path(__file__).with_name("openapi-23.0.2.json")


class Operation(NamedTuple):
    """One operation as `GET /repos/{owner}/{repo}`, and the values of its path's fields in a request."""

    name: str
    fields: dict[str, str]


@cache
def description() -> dict[str, Any]:
    """The cut, made by `cut_openapi.py`."""
    found: dict[str, Any] = json.loads(SOURCE.read_text())
    return found


@cache
def _patterns() -> list[tuple[str, str, "re.Pattern[str]"]]:
    made = []
    for name in description()["operations"]:
        method, path = name.split()
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path))
        made.append((method, name, re.compile(pattern)))
    # `/branches/{branch}` holds slashes, which clients escape; fixed words win over fields.
    return sorted(made, key=lambda each: each[1].count("{"))


def operation(method: str, path: str) -> Operation | None:
    """The operation that a request is for; None for one that the cut does not know."""
    for verb, name, pattern in _patterns():
        found = pattern.fullmatch(path) if verb == method else None
        if found:
            return Operation(name, {key: unquote(value) for key, value in found.groupdict().items()})
    return None


def faults_of_request(method: str, path: str, query: dict[str, str], body: Any) -> list[str]:
    """What GitHub's description has against a request: unknown operation or parameter, a body of another shape."""
    found = operation(method, path)
    if found is None:
        return [f"{method} {path}: no such operation"]
    known = description()["operations"][found.name]
    parameters = [_resolved(each) for each in known["parameters"]]
    faults = []
    wanted = {each["name"]: each for each in parameters if each["in"] == "query"}
    for name, value in query.items():
        if name not in wanted:
            faults.append(f"{found.name}: unknown parameter {name}")
        else:
            faults += _faults(wanted[name]["schema"], _typed(value, wanted[name]["schema"]), f"?{name}")
    for each in parameters:
        if each["in"] == "path" and each["name"] in found.fields:
            faults += _faults(each["schema"], _typed(found.fields[each["name"]], each["schema"]), each["name"])
    if known["body"] is None:
        faults += [f"{found.name} takes no body"] if body not in (None, {}) else []
    elif body is not None or method not in ("PUT", "PATCH", "DELETE"):
        faults += _faults(known["body"], {} if body is None else body, found.name)
        faults += _unknown_keys(known["body"], body or {}, found.name)
    return faults


def faults_of_answer(name: str, status: int, body: Any) -> list[str]:
    """What the description has against an answer to the operation `name`."""
    answers = description()["operations"][name]["answers"]
    if str(status) not in answers:
        return [] if status in (401, 403, 404, 429, 502) else [f"{name} never answers {status}"]
    schema = answers[str(status)]
    return _faults(schema, body, f"{name} {status}") if schema is not None and status < 400 else []


def filled(name: str, status: int, value: Any) -> Any:
    """`value` with every field that the description requires and nobody cares about."""
    schema = description()["operations"][name]["answers"].get(str(status))
    return value if schema is None else _fill(schema, value)


def _fill(schema: Any, value: Any) -> Any:
    schema = _resolved(schema)
    if "allOf" in schema:
        for part in schema["allOf"]:
            value = _fill(part, value)
        return value
    variants = schema.get("anyOf") or schema.get("oneOf")
    if variants and value is not None:
        kinds = [variant for variant in variants if _resolved(variant).get("type") == _kind(value)]
        return _fill(kinds[0], value) if kinds else value
    if isinstance(value, list) and "items" in schema:
        return [_fill(schema["items"], each) for each in value]
    if not isinstance(value, dict):
        return value
    known = schema.get("properties", {})
    made = {key: _fill(known[key], each) if key in known else each for key, each in value.items()}
    return made | {key: _dummy(known.get(key, {})) for key in schema.get("required", ()) if key not in made}


def _dummy(schema: Any) -> Any:
    schema = _resolved(schema)
    if "enum" in schema:
        return schema["enum"][0]
    for part in ("allOf", "anyOf", "oneOf"):
        if part in schema:
            variants = schema[part]
            return None if {"type": "null"} in variants else _dummy(variants[0])
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        return None
    if kind == "string":
        return {"uri": "http://127.0.0.1/", "date-time": "2026-01-01T00:00:00Z"}.get(schema.get("format", ""), "")
    return {"integer": 0, "number": 0, "boolean": False, "array": [], "null": None}.get(kind, _fill(schema, {}))


def _kind(value: Any) -> str:
    return {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer"}.get(type(value), "null")


def _resolved(schema: Any) -> Any:
    while "$ref" in schema:
        found: Any = description()
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def _typed(text: str, schema: Any) -> Any:
    kind = _resolved(schema).get("type")
    if kind == "integer":
        return int(text) if text.lstrip("-").isdecimal() else text
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    return text


@cache
def _validator(key: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads(key) | {"components": description()["components"]})


def _faults(schema: Any, value: Any, place: str) -> list[str]:
    judge = _validator(json.dumps(schema))
    return [f"{place}: {'/'.join(map(str, error.path))}: {error.message[:300]}" for error in judge.iter_errors(value)]


def _unknown_keys(schema: Any, body: Any, place: str) -> list[str]:
    """GitHub ignores what it does not know; a request of ours that says more than GitHub reads is a mistake."""
    schema = _resolved(schema)
    known = schema.get("properties")
    if not isinstance(body, dict) or not known or "oneOf" in schema or ("anyOf" in schema and not known):
        return []
    return [f"{place}: GitHub knows no {key}" for key in body if key not in known]
