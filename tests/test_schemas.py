"""The JSON Schemas say what the structs say."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from runner.agents import Agent, Mail, Notifications, Policy, ReviewPolicy, Routing, Settings
from runner.schemas import MEANINGS, files
from runner.task import Budget, TaskFile

STRUCTS = {
    struct.__name__: struct
    for struct in (TaskFile, Budget, Settings, Agent, Routing, Notifications, Mail, Policy, ReviewPolicy)
}
SCHEMAS = {name: json.loads(text) for name, text in files().items()}
PARTS = {name: part for schema in SCHEMAS.values() for name, part in schema["$defs"].items()}


def within(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from within(item)


def test_there_is_one_for_tasks_and_one_for_the_agents() -> None:
    assert {name: schema["$ref"] for name, schema in SCHEMAS.items()} == {
        "task.json": "#/$defs/TaskFile",
        "agents.json": "#/$defs/Settings",
    }
    assert files() == files()


@pytest.mark.parametrize("name", STRUCTS)
def test_every_key_is_there_and_explained_and_no_other_is_allowed(name: str) -> None:
    part = PARTS[name]
    assert tuple(part["properties"]) == STRUCTS[name].__struct_fields__ == tuple(MEANINGS[name])
    assert all(key["description"] for key in part["properties"].values())
    assert part["additionalProperties"] is False
    required = [field.name for field in msgspec.structs.fields(STRUCTS[name]) if field.required]
    assert part["required"] == required


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_a_schema_refers_to_is_in_it(name: str) -> None:
    schema = SCHEMAS[name]
    for part in within(schema):
        if isinstance(part.get("$ref"), str):
            assert part["$ref"].removeprefix("#/$defs/") in schema["$defs"]
        if isinstance(part.get("pattern"), str):
            re.compile(part["pattern"])


def test_bounds_and_choices_are_the_ones_that_are_enforced() -> None:
    task, agent = PARTS["TaskFile"]["properties"], PARTS["Agent"]["properties"]
    assert task["complexity"]["anyOf"][0] == {"type": "integer", "minimum": 1, "maximum": 10}
    assert task["title"]["maxLength"] == 200
    assert set(PARTS["Stage"]["enum"]) == {"design", "build", "test", "review", "complete"}
    assert set(agent["provider"]["enum"]) == {"ollama", "openai", "scripted"}
    assert agent["endpoint"]["default"] == "http://localhost:11434"
    assert PARTS["ReviewPolicy"]["properties"]["design"]["default"] == "human"
