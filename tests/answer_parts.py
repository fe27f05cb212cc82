"""A person asks, a real answer is made: a desk whose agents are behind a scripted Ollama, in a real repository."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from wire.ollama import chunk, last, stream
from wire.server import Answer

from runner import wiring
from runner.host import Site, site_at, timestamp
from runner.observe import fetch_refs, read_settings
from runner.talk import discussions
from runner.talk.answering import Hears, answer
from runner.talk.desk import Desk
from runner.talk.messages import About, Created, Look, Message, new_id

AT = timestamp(datetime.now(UTC))
NATIVE, WEAK = "qwen3:32b", "gemma3:4b"
MODELS = {NATIVE: ("completion", "tools"), WEAK: ("completion",)}


class Heard(NamedTuple):
    """What somebody who follows an answer heard."""

    texts: list[str]
    looks: list[Look]
    cancelled: threading.Event


def agent(url: str, model: str = NATIVE, name: str = "gemma", **more: Any) -> dict[str, Any]:
    """An entry of agents.yaml."""
    return {"name": name, "model": model, "endpoint": url} | more


def calls(name: str, /, **arguments: Any) -> Answer:
    """A native call of a tool."""
    return stream(chunk("", (name, arguments)), last())


def desk_at(folder: Path) -> Desk:
    """The desk of the repository around `folder`, as it is on the hub now."""
    site = site_at(folder)
    refs = fetch_refs(site)
    return wiring.desk(site, read_settings(site.repo, refs.base), refs.base)


def ask(site: Site, id: str, text: str, **more: Any) -> Message:
    """A person says something, in a discussion that is begun if need be."""
    task = id if len(id) < 36 else None
    discussions.begin(site, About(id, "A talk", Created(AT, "Pat"), task=task))
    return discussions.say(site, id, Message(new_id(), AT, "person", "Pat", text, **more))


def answered(
    desk: Desk, id: str, question: Message, hear: Callable[[str], None] | None = None
) -> tuple[Message, Heard]:
    """The answer to a question, and what somebody heard who followed it."""
    heard = Heard([], [], threading.Event())

    def text(whole: str) -> None:
        heard.texts.append(whole)
        if hear:
            hear(whole)

    made = answer(desk, id, question.id, Hears(text, heard.looks.append, heard.cancelled))
    assert made is not None
    return made, heard
