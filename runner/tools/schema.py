"""A tool's function → what a model is told of it. Pure."""

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec

from runner.errors import ToolError
from runner.models import ToolSpec
from runner.tools.work import Answer, Tool, Work


def describe(function: Callable[..., Answer]) -> ToolSpec:
    """The schema that a tool's signature and docstring amount to.

    The first parameter is the `Work` and no part of it. The docstring's first paragraph is the description; a line
    `name: text` after it describes that parameter. A parameter without a default is required.
    """
    description, told = _docstring(function)
    hints = get_type_hints(function, include_extras=True)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    properties = {
        parameter.name: {**msgspec.json.schema(hints[parameter.name]), "description": told[parameter.name]}
        for parameter in parameters
    }
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": [parameter.name for parameter in parameters if parameter.default is parameter.empty],
        "additionalProperties": False,
    }
    return ToolSpec(function.__name__, description, schema)


def bind(function: Callable[..., Answer], work: Work) -> Tool:
    """A tool ready to run. Arguments that do not fit the signature are a `ToolError`, whoever checked them before."""
    hints = get_type_hints(function, include_extras=True)
    signature = inspect.signature(function)

    def run(arguments: dict[str, Any]) -> Answer:
        try:
            bound = signature.bind(work, **arguments)
            given = {name: msgspec.convert(arguments[name], hints[name]) for name in arguments}
        except (TypeError, msgspec.ValidationError) as error:
            raise ToolError(f"{function.__name__}: {error}") from None
        return function(*bound.args[:1], **given)

    return Tool(describe(function), run)


def _docstring(function: Callable[..., Answer]) -> tuple[str, dict[str, str]]:
    first, _, rest = inspect.cleandoc(function.__doc__ or "").partition("\n\n")
    lines = (line.partition(": ") for line in rest.splitlines())
    return " ".join(first.split()), {name.strip(): text.strip() for name, colon, text in lines if colon}
