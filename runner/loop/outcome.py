"""What a conversation with a model comes to, and within which bounds. Values only."""

from typing import Literal

import msgspec

from runner.loop.trajectory import Totals

Limit = Literal["steps", "tokens", "cost", "seconds"]


class Finished(msgspec.Struct, frozen=True):
    """The agent says that the stage is done; the gates look next."""

    summary: str


class Asked(msgspec.Struct, frozen=True):
    """The agent needs a person's answer to go on."""

    question: str


class Exhausted(msgspec.Struct, frozen=True):
    """A limit was reached, and the turn that was left for finishing did not finish. `limit` is a field of `Bounds`."""

    limit: Limit


class Failed(msgspec.Struct, frozen=True):
    """This agent cannot go on by itself. `kind` is `format`, `loop`, `window`, or that of the `ModelError`.

    `unavailable`, `rate` and `payment` say nothing about the agent's ability: the endpoint is at fault.
    """

    reason: str
    kind: str


class Stopped(msgspec.Struct, frozen=True):
    """`before_step` said so: a person's command, a lost lease."""

    reason: str


Outcome = Finished | Asked | Exhausted | Failed | Stopped


class Said(msgspec.Struct, frozen=True):
    """A person's words for the agent. The trajectory remembers `id`, so that saying it again does no harm."""

    id: str
    text: str


class Bounds(msgspec.Struct, frozen=True):
    """Limits of one attempt, counted over all its runs; None is no limit. `cost` in US dollars, `seconds` of work.

    `context` is the model's window and `max_output` the longest reply, both in tokens.
    """

    steps: int = 50
    tokens: int | None = None
    cost: float | None = None
    seconds: float | None = 3600.0
    context: int = 8192
    max_output: int = 2048


def turns_left(bounds: Bounds, used: Totals, next_tokens: int) -> tuple[float, Limit]:
    """How many more turns fit into the bounds, and which of them is the tightest. Pure.

    A turn is thought to take `next_tokens`, and as much money and time as the mean of those before it. Time that is
    left is always enough for one turn: what took long was a command, and the last turn runs none.
    """
    left: dict[Limit, float] = {"steps": bounds.steps - used.steps}
    mean = max(used.steps, 1)
    if bounds.tokens is not None:
        left["tokens"] = (bounds.tokens - used.tokens) / max(next_tokens, 1)
    if bounds.cost is not None and used.cost:
        left["cost"] = (bounds.cost - used.cost) / (used.cost / mean)
    if bounds.seconds is not None and used.seconds:
        seconds = bounds.seconds - used.seconds
        left["seconds"] = max(seconds / (used.seconds / mean), 1.0 if seconds > 0 else 0.0)
    limit = min(left, key=lambda name: left[name])
    return left[limit], limit
