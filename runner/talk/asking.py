"""A model asked by somebody who is followed by people: what it says is shown as it comes, and can be stopped."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError
from typing import NamedTuple, TypeVar

import msgspec

from runner.agents import Agent
from runner.errors import UserError
from runner.loop.window import Window
from runner.models import Model, ModelError, Reply, Request
from runner.protocols import choose
from runner.protocols.preflight import Memory
from runner.secrets import Redactor
from runner.secrets.growing import Growing
from runner.talk import showing
from runner.talk.messages import Look

T = TypeVar("T")

SHRINK, SHRINKS = 0.6, 2
"""By how much the window is taken to be smaller when a server says that a prompt was too long, and how often."""
GRAIN = 1024
"""The part of an answer by which it grows before it is looked at again: each character alone up to there."""
CHANGES_PROTOCOL = ("no-tools", "tool-syntax", "grammar")
LADDER = ("native", "json", "text")


class Cancelled(Exception):
    """A person stopped the answer."""


class Hears(NamedTuple):
    """Who follows an answer: `text` hears all of it so far whenever it grows or changes, `look` each thing looked at.

    When `cancelled` is set the model is stopped, and what was said until then is the answer. `agent` hears who it is
    that answers. An exception out of any of them ends it with nothing stored.
    """

    text: Callable[[str], None]
    look: Callable[[Look], None]
    cancelled: threading.Event
    agent: Callable[[str], None] = lambda name: None


class Overflow(Exception):
    """The prompt was too long for the server: it is to be made anew, for the window as it is known now."""


class Asker:
    """An agent's model, the protocol and the window in which it is asked, and what it has said so far.

    `turn` is the number of the first request, for models that are scripted. `shown` is what people see.
    """

    def __init__(self, agent: Agent, model: Model, hears: Hears, redactor: Redactor, turn: int) -> None:
        self.agent, self.model, self.hears, self.redactor, self.first = agent, model, hears, redactor, turn
        self.protocol, self.window, self.shrinks = "native", Window(agent.context, agent.max_output), 0
        self.growing = Growing(redactor)
        self.replies: list[Reply] = []
        self.shown = ""

    @property
    def turn(self) -> int:
        """The number of the next request."""
        return self.first + len(self.replies)

    def load(self, memory: Memory) -> None:
        """Have the model in memory; its real window and its protocol are known then. Raises `UserError`."""
        try:
            found = self._waited(self.model.load)
        except ModelError as error:
            raise self._unable(error) from error
        self.window = Window(min(self.agent.context, found.context), self.agent.max_output)
        self.protocol = choose(self.agent.protocol, found, self.model.name)
        if self.agent.protocol == "auto" and self.protocol == "native":  # as stages found out; nobody probes here
            self.protocol = memory.recall(self.model.identity()) or self.protocol

    def send(self, make: Callable[[], Request], words: Callable[[str], str]) -> Reply:
        """The reply to a request, made anew where the protocol has to change. `words` are those that people see of it.

        Raises `Overflow` when the window is smaller than was thought, `Cancelled`, `UserError`.
        """
        while True:
            try:
                reply = self._reply(make(), words)
            except ModelError as error:
                if not self._changed(error):
                    raise self._unable(error) from error
                continue
            self.replies.append(reply)
            return reply

    def _changed(self, error: ModelError) -> bool:
        """Whether the request can be made otherwise."""
        step = LADDER.index(self.protocol)
        if error.kind in CHANGES_PROTOCOL and step + 1 < len(LADDER):
            self.protocol = LADDER[step + 1]
            return True
        if error.kind == "overflow" and self.shrinks < SHRINKS:
            self.shrinks += 1
            self.window = msgspec.structs.replace(self.window, context=int(self.window.context * SHRINK))
            raise Overflow from error
        return False

    def _reply(self, request: Request, words: Callable[[str], str]) -> Reply:
        pieces: list[str] = []
        length = looked = 0

        def hear(piece: str) -> None:
            nonlocal length, looked
            if self.hears.cancelled.is_set():
                raise Cancelled  # closes the connection, upon which the server stops
            pieces.append(piece)
            length += len(piece)
            if length - looked > max(self.growing.step, length // GRAIN):  # what one piece costs does not grow with all
                looked = length
                pieces[:] = ["".join(pieces)]
                self._show(words(pieces[0]))

        return self._waited(lambda: self.model.reply(request, hear))

    def _waited(self, ask: Callable[[], T]) -> T:
        """What `ask` answers; a person who stops it does not wait until a silent server says something."""
        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(ask())
            except BaseException as error:
                answer.set_exception(error)

        threading.Thread(target=run, name="asking", daemon=True).start()
        while True:
            if self.hears.cancelled.is_set():
                self.model.stop()
                raise Cancelled
            try:
                return answer.result(timeout=0.1)
            except TimeoutError:
                if answer.done():
                    raise

    def _show(self, text: str) -> None:
        """Let those who follow see whole words, without secrets."""
        clean = self.growing.clean(self.redactor.settled(showing.settled(text)))
        if clean and clean != self.shown:
            self.shown = clean
            self.hears.text(clean)

    def _unable(self, error: ModelError) -> UserError:
        what = self.redactor.clean(f"{self.agent.name} could not answer: {error}")  # endpoints quote what they got
        return UserError(what, "ask again when its endpoint answers, or ask another agent")
