"""A schema as the grammar that llama.cpp, and so Ollama, makes of it; for servers that were built to do it otherwise.

The llama-server in the package `xllamacpp` holds replies to a schema by llguidance, where any number of blanks may
stand between two tokens: a base model that falls into them runs on to its limit. llama.cpp's own grammars allow at most
two line ends and twenty blanks (`SPACE_RULE` in
https://github.com/ggml-org/llama.cpp/blob/master/examples/json_schema_to_grammar.py).
"""

import json
from typing import Any

SPACE = r'| " " | "\n"{1,2} [ \t]{0,20}'
CHAR = r'[^"\\\x7F\x00-\x1F] | [\\] (["\\bfnrt] | "u" [0-9a-fA-F]{4})'


def grammar(schema: dict[str, Any]) -> str:
    """The grammar (GBNF) of a schema of the few kinds that `runner.protocols.json_schema` has.

    A whole number with a bound is held to its sign alone. Raises `KeyError` for a kind that no tool has.
    """
    return f"root ::= {_value(schema)}\nspace ::= {SPACE}\nchar ::= {CHAR}\n"


def _value(schema: dict[str, Any]) -> str:
    if options := schema.get("anyOf"):
        return f"({' | '.join(map(_value, options))})"
    if "const" in schema or "enum" in schema:
        return f"({' | '.join(map(_literal, schema.get('enum', [schema.get('const')])))})"
    kinds = {"object": _object, "string": _string, "integer": _whole}
    return kinds[schema["type"]](schema)


def _literal(value: object) -> str:
    """A value's JSON as a string of the grammar, which has the same escapes."""
    return json.dumps(json.dumps(value))


def _string(schema: dict[str, Any]) -> str:
    return rf'"\"" char{{{schema.get("minLength", 0)},{schema.get("maxLength", "")}}} "\""'


def _whole(schema: dict[str, Any]) -> str:
    return "([1-9] [0-9]{0,15})" if schema.get("minimum") == 1 else '("-"? ("0" | [1-9] [0-9]{0,15}))'


def _object(schema: dict[str, Any]) -> str:
    """Properties in their order, those that need not be there after the others."""
    required, properties = schema["required"], schema["properties"]
    pairs = {name: f'{_literal(name)} space ":" space {_value(properties[name])}' for name in properties}
    there = ' "," space '.join(pairs[name] for name in required)
    more = [pairs[name] for name in properties if name not in required]
    rest = "".join(f' ("," space {pair})?' for pair in more) if required else _any_of(more)
    return f'"{{" space {there}{rest} space "}}"'


def _any_of(pairs: list[str]) -> str:
    """Some of the pairs in their order, without a comma before the first."""
    starts = [pair + "".join(f' ("," space {later})?' for later in pairs[n + 1 :]) for n, pair in enumerate(pairs)]
    return f"({' | '.join(starts)})?" if starts else ""
