"""Ask the model, do what it asks, tell it what came of it."""

import time
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from runner.models import Message, Model, ToolCall
from runner.tools import Tool
from runner.trajectory import Trajectory


class Finished(msgspec.Struct, frozen=True):
    """The agent says that the stage is done; the gates look next."""

    summary: str


class Asked(msgspec.Struct, frozen=True):
    """The agent needs a person's answer to go on."""

    question: str


class Exhausted(msgspec.Struct, frozen=True):
    """A limit was reached and the turn that was left for finishing did not finish. `limit` is a field of `Bounds`."""

    limit: Literal["steps", "tokens", "cost", "seconds"]


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


def converse(
    model: Model,
    protocol: str,
    tools: Mapping[str, Tool],
    trajectory: Trajectory,
    opening: tuple[Message, ...],
    bounds: Bounds,
    *,
    before_step: Callable[[], Stopped | tuple[Said, ...]],
    after_step: Callable[[str], str | None],
    seeds: tuple[ToolCall, ...] = (),
    on_text: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Take an attempt from where its trajectory stands to an outcome.

    `protocol` (`native` or `json`), `opening` (the prompt) and `seeds` (calls that are really run and shown as the
    first turns) matter only while the trajectory is empty. `before_step` is asked before each request; `after_step`
    is told the tool that ran, before its result is written, and gives the id of the workspace's state. A call that is
    `trajectory.pending` runs first: restore the workspace to `trajectory.snapshot` before calling.
    Raises `UserError` where the model's endpoint needs a person (a wrong key, an unknown model).
    """
    raise NotImplementedError
