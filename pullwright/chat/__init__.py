"""`pullwright chat`: talk with an agent, about a task or freely. Start reading at `chat`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec

from pullwright.chat import deeds, drafting
from pullwright.chat.room import WORDS, Room, Verb, enter, hears
from pullwright.chat.show import Screen, on_terminal
from pullwright.chat.words import Order, parse
from runner.errors import UserError
from runner.host import site_at
from runner.parsing.characters import calm
from runner.people.remarks import Unknown
from runner.talk import discussions


def chat(folder: Path, word: str | None, *, last: bool, agent: str | None, as_json: bool) -> int:
    """Talk until ^D on a terminal; elsewhere standard input is one message, and its answer is printed.

    Returns the exit status. Raises `UserError`.
    """
    room = enter(site_at(folder), word, last=last, agent=agent)
    if on_terminal() and not as_json:
        from pullwright.chat.session import Session

        Session(room).run()
        return 0
    return once(room, "" if sys.stdin.isatty() else sys.stdin.read(), as_json)


def talks(folder: Path, as_json: bool) -> None:
    """Print every discussion, the newest first."""
    site = site_at(folder)
    discussions.bring(site)
    found = discussions.listing(site)
    if as_json:
        click.echo(json.dumps([msgspec.to_builtins(each.about) | {"messages": len(each.messages)} for each in found]))
        return
    for each in found:
        last = max([each.about.created.at, *(message.at for message in each.messages)])
        name = each.about.id if each.about.task else each.about.id[:8]
        click.echo(f"{name:<24}  {last[:16].replace('T', ' ')}  {len(each.messages):>3}  {calm(each.about.title)}")


# --- in a pipe -----------------------------------------------------------------------------------------------------


def once(room: Room, text: str, as_json: bool) -> int:
    """One message and its answer, or one command; of nothing at all: what was said so far."""
    said = parse(text.rstrip("\n"))
    if isinstance(said, Unknown):
        raise UserError(said.why)
    if said == "" or (isinstance(said, Order) and said.name == "history"):
        _print_all(room, as_json)
    elif isinstance(said, str):
        _say_once(room, said, "talk", as_json)
    elif said.name in WORDS:
        _say_once(room, said.words, WORDS[said.name], as_json)
    elif said.name == "task":
        click.echo(calm(drafting.written(room)), nl=False)
    elif said.name not in ("help", "quit"):
        for line in deeds.deed(room, said):
            click.echo(calm(line))
    return 0


def _say_once(room: Room, text: str, verb: Verb, as_json: bool) -> None:
    message = room.say(text, verb)
    deaf: Callable[[Any], None] = lambda what: None  # noqa: E731
    answer = room.answered(message, hears(deaf, deaf, deaf), lambda: None)
    if as_json:
        told = {"discussion": room.id, "said": message, "answer": answer}
        click.echo(msgspec.json.encode(told).decode())
    elif answer is not None:
        click.echo(calm(answer.text))


def _print_all(room: Room, as_json: bool) -> None:
    found = room.bring()
    if as_json:
        about = msgspec.to_builtins(found.about) if found else None
        told = {"discussion": about, "messages": found.messages if found else (), "files": found.files if found else {}}
        click.echo(msgspec.json.encode(told).decode())
    elif found:
        Screen().messages(found.messages)
