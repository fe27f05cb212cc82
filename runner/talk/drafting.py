"""A conversation as a task, written by an agent for a person to change and confirm. Nothing is made here."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from runner.errors import UserError
from runner.forge.hidden import shapeless
from runner.lifecycle import STAGES, Stage
from runner.loop.window import Window
from runner.models import Message as Turn
from runner.models import Model, ModelError, Request
from runner.prompting import fenced
from runner.protocols.lift import without_thinking
from runner.talk import discussions
from runner.talk.desk import Desk, answerer, prompt
from runner.talk.messages import Message
from runner.tools.text import elide, plain
from runner.wording import one_line

TRIES = 3
TITLE, REASON, LINE = 120, 300, 500
"""Characters of a title, of a reason, of one line of the acceptance list."""
MOST_LINES = 20
ROOM = 0.7
"""The share of the window's prompt that the conversation may have."""
_TEXT, _SHORT = {"type": "string"}, {"type": "string", "maxLength": 300}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": TITLE},
        "description": _TEXT,
        "complexity": {"type": "integer", "minimum": 1, "maximum": 10},
        "complexity_reason": _SHORT,
        "stages": {"type": "array", "items": {"enum": [str(stage) for stage in STAGES]}, "maxItems": len(STAGES)},
        "acceptance": {"type": "array", "items": _SHORT, "maxItems": MOST_LINES},
    },
    "required": ["title", "description", "complexity", "complexity_reason", "stages", "acceptance"],
    "additionalProperties": False,
}


class Draft(msgspec.Struct, frozen=True):
    """A task as an agent would write it."""

    title: str
    description: str
    complexity: int
    complexity_reason: str
    stages: tuple[Stage, ...]
    acceptance: tuple[str, ...]


def draft(desk: Desk, id: str, away: frozenset[str] = frozenset()) -> Draft:
    """The task that a discussion amounts to. Raises `UserError` when nobody can write it."""
    found = discussions.read(desk.site, id)
    if found is None or not found.messages:
        raise UserError("nothing was said yet of which a task could be made", "say first what is wanted")
    agent = answerer(desk.settings, (found.about.agent,), away)
    model = desk.model(agent, "draft")
    try:
        window = Window(min(agent.context, model.load().context), agent.max_output)
        turns = _turns(desk, found.messages, window)
        return _asked(model, turns, window, desk.settings.policy.default_complexity)
    except ModelError as error:
        what = desk.redactor.clean(f"{agent.name} could not write the task: {error}")
        raise UserError(what, "try again, or write it yourself") from error


def _turns(desk: Desk, messages: Sequence[Message], window: Window) -> list[Turn]:
    system = prompt(desk, "draft", {})
    room = int(window.characters(window.budget) * ROOM) - len(system)
    said = "\n\n".join(f"{message.who}: {message.text}" for message in messages)
    shown = elide(desk.redactor.clean(plain(said)), max(room, 500), "this part was left out")
    return [Turn("system", system), Turn("user", f"{fenced(shown)}\n\nWrite the task as ONE JSON object.")]


def _asked(model: Model, turns: list[Turn], window: Window, usual: int) -> Draft:
    """Ask, and again with what was wrong."""
    wrong = ""
    for number in range(TRIES):
        told = [*turns, Turn("assistant", "…"), Turn("user", wrong)] if wrong else turns
        request = Request(
            tuple(told), schema=SCHEMA, max_tokens=window.output, temperature=0.1 + 0.2 * number, turn=number
        )
        read = parse(model.reply(request).text, usual)
        if isinstance(read, Draft):
            return read
        wrong = f"{read} Write the task again as ONE JSON object with title and description."
    raise UserError(f"{model.name} wrote no task that can be read", "try again, or write it yourself")


def parse(text: str, usual: int) -> Draft | str:
    """The draft in a reply, or what is wrong with it. `usual` is the complexity where it names none. Pure.

    What a person cannot see is left out: they say yes to it, and agents read all of it.
    """
    said = _object(without_thinking(text))
    if said is None:
        return "There was no JSON object in that."
    title, description = one_line(str(said.get("title") or ""), TITLE), str(said.get("description") or "").strip()
    if not title:
        return "The title is missing."
    number = said.get("complexity")
    known = type(number) is int and 1 <= number <= 10
    reason = one_line(str(said.get("complexity_reason") or ""), REASON) if known else "it names none"
    return Draft(
        title=title,
        description="".join(char for char in plain(description) if not shapeless(char)),
        complexity=number if isinstance(number, int) and known else usual,
        complexity_reason=reason,
        stages=_stages(said.get("stages")),
        acceptance=tuple(one_line(line, LINE) for line in _list(said.get("acceptance")))[:MOST_LINES],
    )


def _object(text: str) -> dict[str, Any] | None:
    """The first JSON object in a text that has a title."""
    decoder = json.JSONDecoder(strict=False)
    starts = [place for place, char in enumerate(text) if char == "{"]
    for start in starts[:50]:  # bounds the work on text such as "{{{{…"
        try:
            found, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and "title" in found:
            return found
    return None


def _stages(said: object) -> tuple[Stage, ...]:
    """The known stages in their order; all of them where none is named."""
    named = set(_list(said))
    return tuple(stage for stage in STAGES if stage in named) or STAGES


def _list(said: object) -> list[str]:
    return [item.strip() for item in said if isinstance(item, str) and item.strip()] if isinstance(said, list) else []
