"""A discussion as somebody in a terminal takes part in it: found or begun, spoken in, answered in this very process."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from runner import commands, wiring
from runner.approval import approve, person, seen
from runner.commands import Command
from runner.decide import Action
from runner.errors import UserError
from runner.host import Site, lock, timestamp
from runner.observe import View, observe
from runner.people.orders import bounded, compose
from runner.planning import Step, plan
from runner.state import TaskState
from runner.talk import discussions, telling
from runner.talk import files as kinds
from runner.talk.answering import Hears, answer
from runner.talk.desk import Desk
from runner.talk.messages import About, Created, Discussion, Message, answer_id, is_question, new_id, title_of
from runner.talk.messages import unanswered as waiting

AGAIN = 1.0
"""Seconds between two looks for an answer that another process makes."""
SHORTEST = 4
"""Letters of the beginning of an id that stand for it."""
Verb = Literal["talk", "comment", "answer", "reject"]
WORDS: dict[str, Verb] = {"comment": "comment", "answer": "answer", "reject": "reject"}
"""The commands that are messages too."""


class Room:
    """One discussion. `id` is None until a free one has begun, `agent` who shall answer there."""

    def __init__(self, site: Site, view: View, id: str | None, agent: str | None = None) -> None:
        self.site, self.view, self.id, self.agent = site, view, id, agent
        self.files: list[str] = []

    @property
    def task(self) -> str | None:
        """The task that is talked about."""
        known = self.id is not None and any(state.task.id == self.id for state in self.view.states)
        return self.id if known else None

    @property
    def desk(self) -> Desk:
        """What answering needs, as the last look has it."""
        return wiring.desk(self.site, self.view.settings, self.view.refs.base)

    @cached_property
    def me(self) -> str:
        """Who speaks here."""
        return person(self.site.folder).name

    def look(self) -> View:
        """How things stand now. Raises `UserError`."""
        self.view = observe(self.site)
        return self.view

    def found(self) -> Discussion | None:
        """The discussion as this host has it."""
        return discussions.read(self.site, self.id) if self.id else None

    def bring(self) -> Discussion | None:
        """The same, after asking the hub."""
        if self.id is not None:
            discussions.bring(self.site, self.id)
        return self.found()

    def state(self) -> TaskState:
        """Where the task stands. Raises `UserError` in a discussion of none."""
        if self.task is None:
            raise UserError("this talk is about no task", "pullwright chat ID talks about one; /task makes one of this")
        return self.view.state(self.task)

    def step(self) -> tuple[Step, Action]:
        """What is next for the task."""
        task = self.state().task.id
        step = next(step for step in plan(self.view) if step.state.task.id == task)
        return step, step.action

    # --- speaking --------------------------------------------------------------------------------------------------

    def say(self, text: str, verb: Verb = "talk") -> Message:
        """Say something, with the files that wait; what is stored. The task is told with it.

        Raises `UserError` when it makes no sense as the task stands, or the hub refuses.
        """
        before = telling.asked(self.state()) if verb == "answer" else ""
        self.look()
        if verb != "talk":
            telling.require_same(self.state(), before)
        id = self._begun(text)
        message = Message(new_id(), now(), "person", self.me, text, tuple(self.files), verb=verb)
        said = self.desk.redactor.clean_struct(message)
        order = telling.order(self.state(), self.view.settings, said, self._name()) if self.task else None
        stored = discussions.say(self.site, id, said, redactor=self.desk.redactor, order=order)
        self.files.clear()
        if order is not None:
            self.look()
        return stored

    def _begun(self, text: str) -> str:
        """The id of the discussion, which begins now if it has not."""
        title = self.state().task.request.title if self.task else title_of(text)
        if self.id is None or self.bring() is None:
            about = About(self.id or new_id(), title[:120], Created(now(), self.me), self.task, self.agent)
            self.id = discussions.begin(self.site, about, redactor=self.desk.redactor).about.id
        return self.id

    def attach(self, path: Path) -> str:
        """Send a file, which goes with what is said next; its name there. Raises `UserError`."""
        try:
            data = _read(path.expanduser())
            name = kinds.name_of(path.name)
            name = discussions.attach(
                self.site, self._begun(name), name, data, self.me, now(), redactor=self.desk.redactor
            )
        except kinds.Refused as error:
            raise UserError(str(error), "send another one") from error
        self.files.append(name)
        return name

    def note(self, message: Message) -> None:
        """Put a note in."""
        if self.id is not None:
            discussions.say(self.site, self.id, message, redactor=self.desk.redactor)

    # --- telling the task ------------------------------------------------------------------------------------------

    def tell(self, verb: str, **args: Any) -> None:
        """Say a command that is no message. Raises `UserError` when it makes no sense as the task stands."""
        self.look()
        state = self.state()
        if verb == "set-budget":
            args = {"budget": bounded(state, args["budget"])}
        self._append(compose(state, self.view.settings, verb, self._name(), now(), **args))
        self.look()

    def approve(self) -> str:
        """Merge the task's proposal if it is still what the last look showed; a sentence.

        Raises `UserError` with the reason why not.
        """
        shown = seen(self.state())
        self.look()
        said = approve(self.site, self.view, self.state(), person(self.site.folder), shown)
        self.look()
        return said

    def _name(self) -> str:
        who = person(self.site.folder)
        return f"{who.name} <{who.email}>"

    def _append(self, command: Command) -> None:
        with lock(self.site.state, "fetch"):
            commands.append(self.site.repo, self.site.hub.url, commands.ref_of(self.state().task.id), command)

    # --- being answered --------------------------------------------------------------------------------------------

    def unanswered(self) -> Message | None:
        """The newest thing that was asked, if nobody has answered it."""
        found = self.found()
        open = waiting(found.messages) if found else ()
        return open[-1] if open and found and found.messages[-1].id == open[-1].id else None

    def answered(self, question: Message, hears: Hears, elsewhere: Callable[[], None]) -> Message | None:
        """The answer to a question, made here unless another process of this host is at it, which `elsewhere` hears.

        None: it was stopped while another process is at it, or it is no question. Raises `UserError`.
        """
        assert self.id is not None
        while is_question(question):
            made = answer(self.desk, self.id, question.id, hears)
            if made is not None:
                return made
            elsewhere()
            if hears.cancelled.wait(AGAIN):
                return None
            self.bring()
        return None

    def landed(self, question: Message) -> bool:
        """Whether an answer is there, whoever made it. Asks the hub."""
        found = self.bring()
        return found is not None and any(message.id == answer_id(question.id) for message in found.messages)


def enter(site: Site, word: str | None, *, last: bool = False, agent: str | None = None) -> Room:
    """The room for a task's id, a discussion's or the beginning of one; without a word the `last` one, or a new one.

    Raises `UserError` where there is none, or no such agent.
    """
    view = observe(site)
    names = [each.name for each in view.settings.agents]
    if agent is not None and agent not in names:
        raise UserError(f"there is no agent {agent}", f"agents.yaml has {', '.join(names)}")
    if word is None and last:
        found = discussions.listing(site)
        if not found:
            raise UserError("nothing was talked about yet", "pullwright chat begins a talk")
        return Room(site, view, found[0].about.id, agent)
    if word is None or any(state.task.id == word for state in view.states):
        return Room(site, view, word, agent)
    return Room(site, view, _named(site, word), agent)


def _named(site: Site, word: str) -> str:
    known = [each.about.id for each in discussions.listing(site)]
    found = [id for id in known if id == word] or [id for id in known if len(word) >= SHORTEST and id.startswith(word)]
    if len(found) != 1:
        why = f"there is no task and no talk {word}" if not found else f"{word} begins several talks"
        raise UserError(why, "pullwright task list and pullwright chat --list show what there is")
    return found[0]


def _read(path: Path) -> bytes:
    """A file that is to be sent. Raises `UserError`."""
    try:
        if not path.is_file():
            raise UserError(f"{path} is no file", "name one that is there")
        with path.open("rb") as file:
            return file.read(kinds.MOST_FILE + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}", "name one that can be read") from error


def hears(text: Callable[[str], None], look: Callable[[Any], None], agent: Callable[[str], None]) -> Hears:
    """Those who follow an answer, with a way to stop it."""
    return Hears(text, look, threading.Event(), agent)


def now() -> str:
    """This moment, as records write it."""
    return timestamp(datetime.now(UTC))
