"""P0: the model calls tools through its server's own interface; a call that it writes into its text is lifted out."""

from runner.models import Message, Reply, Request, ToolSpec
from runner.models.wire import well_formed
from runner.protocols.arguments import accept
from runner.protocols.body import body_messages, read_body
from runner.protocols.flaws import malformed
from runner.protocols.lift import lift, without_thinking
from runner.protocols.values import Act, Malformed, NeedBody, Read

__all__ = ["body_request", "read", "read_body", "request"]

RULE = "Call exactly one of the tools."


def request(
    messages: tuple[Message, ...],
    tools: tuple[ToolSpec, ...],
    *,
    max_tokens: int,
    temperature: float,
    turn: int,
    only: tuple[str, ...] = (),
) -> Request:
    """The next question with the tools beside it. Raises nothing."""
    offered = tuple(tool for tool in tools if not only or tool.name in only)
    return Request(messages, tools=offered, max_tokens=max_tokens, temperature=temperature, turn=turn)


def read(reply: Reply, tools: tuple[ToolSpec, ...]) -> Read:
    """The first call of the reply (one action a turn), or one lifted out of its text, or what to tell the model."""
    thought = well_formed(without_thinking(reply.text)).strip()
    if reply.calls:
        first = reply.calls[0]
        call = accept(first.name, first.arguments, tools, first.id)
        return call if isinstance(call, Malformed) else Act(call, thought)
    lifted = lift(reply, tools)
    if lifted is None:
        return malformed(reply, RULE)
    return lifted if isinstance(lifted, Malformed) else Act(lifted, lifted=True)


def body_request(
    messages: tuple[Message, ...],
    tools: tuple[ToolSpec, ...],
    need: NeedBody,
    *,
    max_tokens: int,
    temperature: float,
    turn: int,
) -> Request:
    """The question for a body, without tools, so that the answer can only be text. `read` here never needs one."""
    asked = body_messages(messages, need, need.thought or f"I call {need.call.name}.")
    return Request(asked, max_tokens=max_tokens, temperature=temperature, turn=turn)
