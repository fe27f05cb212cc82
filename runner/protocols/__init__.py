"""How a model says which tool it wants. Each protocol is a module of four pure functions:

    request(messages, tools, *, max_tokens, temperature, turn, only=()) -> Request
    read(reply, tools) -> Read
    body_request(messages, tools, need, *, max_tokens, temperature, turn) -> Request
    read_body(reply, need) -> Read

`messages` are kept in the neutral form of `runner.models` (calls as `ToolCall`, results as `tool` messages) and every
protocol renders them its own way, so that a conversation can change its protocol between two turns. `only` names the
tools that may be called this turn (empty: all), while the text in front stays the same for the server's prompt cache.
`read` is given the tools that may be called. A `NeedBody` is answered by `body_request` and `read_body` until it is
something else:

    read = protocol.read(model.reply(protocol.request(…)), tools)
    while isinstance(read, NeedBody):
        read = protocol.read_body(model.reply(protocol.body_request(messages, tools, read, …)), read)
"""

from runner.protocols import json_schema, native, text
from runner.protocols.choice import choose
from runner.protocols.values import Act, Malformed, NeedBody, Read

__all__ = ["PROTOCOLS", "Act", "Malformed", "NeedBody", "Read", "choose"]

PROTOCOLS = {"native": native, "json": json_schema, "text": text}
