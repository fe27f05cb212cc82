"""A person at a terminal in a discussion: what is typed is said or done, and answers come word by word."""

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import click

from pullwright.chat import deeds, drafting
from pullwright.chat.keys import Quiet, Typing
from pullwright.chat.room import WORDS, Room, Verb, hears
from pullwright.chat.show import Coming, Screen
from pullwright.chat.words import Order, help_lines, parse
from pullwright.live.terminal import Signals
from runner.errors import UserError
from runner.host import timestamp
from runner.people.remarks import Unknown
from runner.talk.answering import Hears
from runner.talk.messages import Message, is_question
from runner.talk.telling import asks
from runner.wording import one_line

OLDEST = timedelta(days=1)
"""A question that is older waits for a person to ask again."""
LOOK = 5.0
"""Seconds between two looks at the hub while a person types, or an answer comes."""


class Session:
    """A person at a terminal in a room."""

    def __init__(self, room: Room) -> None:
        self.room, self.screen, self.quiet = room, Screen(), Quiet()
        room.bring()
        self.seen = {message.id for message in self._messages()}
        self.now = self._now()
        own = [message.text for message in self._messages() if message.who == room.me]
        self.typing = Typing(own, [agent.name for agent in room.view.settings.agents], self._below)

    def run(self) -> None:
        """Until the person leaves."""
        with self.quiet, Signals(self.quiet.take, self.quiet.give_back):
            self._open()
            self._talk()

    def _talk(self) -> None:
        while True:
            try:
                text = self._typed()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            try:
                if not self._does(parse(text)):
                    return
            except UserError as error:
                self.screen.problem(error.what, error.remedy)
            except KeyboardInterrupt:
                self.screen.line("stopped", "dim")

    def _open(self) -> None:
        found = self.room.found()
        now = list(deeds.status(self.room)) if self.room.task else []
        if found is not None:
            self.screen.opening(found, now)
        elif self.room.task:
            self.screen.line(self.room.state().task.request.title, "bold")
            for line in now:
                self.screen.line(line, "dim")
        else:
            self.screen.line("A new talk. What you say first begins it; /help says more.", "dim")
        waiting = self.room.unanswered()
        if waiting is not None and waiting.at > timestamp(datetime.now(UTC) - OLDEST):
            self._answer(waiting)

    def _typed(self) -> str:
        """What is typed next; meanwhile what others say is shown."""
        self.now = self._now()
        self.screen.line()
        done = threading.Event()
        looking = threading.Thread(target=self._listen, args=(done,), daemon=True)
        looking.start()
        try:
            return self.typing.ask()
        finally:
            done.set()
            looking.join()

    def _listen(self, done: threading.Event) -> None:
        while not done.wait(LOOK):
            try:
                self.room.bring()
            except UserError:
                continue  # what is wrong is said when something is to be said
            if not done.is_set():
                self._news()

    def _news(self) -> None:
        """Show what others have said."""
        new = [message for message in self._messages() if message.id not in self.seen]
        self.seen |= {message.id for message in new}
        self.screen.messages(new)

    def _does(self, said: Order | Unknown | str) -> bool:
        """One thing; whether the talk goes on."""
        if isinstance(said, Unknown):
            self.screen.problem(said.why)
        elif isinstance(said, str):
            if said:
                self._say(said, "talk")
        elif said.name == "quit":
            return False
        elif said.name == "help":
            self.screen.about(help_lines(self.room.task is not None))
        elif said.name == "history":
            self.room.bring()
            self.screen.messages(self._messages())
        elif said.name == "task":
            self._draft()
        elif said.name in WORDS:
            self._say(said.words, WORDS[said.name])
        else:
            self._lines(deeds.deed(self.room, said))
        return True

    def _say(self, text: str, verb: Verb) -> None:
        message = self.room.say(text, verb)
        self.seen.add(message.id)
        if is_question(message):
            if self.room.task and asks(self.room.state()):
                self.screen.line("  (its agent waits for an answer: /answer TEXT gives it one)", "dim")
            self._answer(message)
        else:
            self.screen.line(f"{verb}: noted; the runner acts on it", "dim")
        self._news()

    def _answer(self, question: Message) -> None:
        """Have a question answered, word by word; ^C stops it."""
        with self.screen.coming("looking") as coming:
            answer = _interruptible(
                lambda heard: self.room.answered(question, heard, coming.elsewhere), coming, self.room, question
            )
            if answer is None:
                self.screen.line("  (it is still being answered elsewhere)", "dim")
                return
            self.seen.add(answer.id)
            coming.end(answer)

    def _draft(self) -> None:
        with self.screen.coming("the agent writes the task"):
            text = drafting.written(self.room)
        request = drafting.settled(text, self._edited, self.typing.question, self._yaml)
        if request is None:
            self.screen.line("no task was made", "dim")
            return
        self._lines(drafting.make(self.room, request))
        self._news()

    def _edited(self, text: str) -> str:
        try:
            with self.quiet.away():
                return click.edit(text, extension=".yaml") or text
        except click.ClickException as error:
            raise UserError(error.message, "set EDITOR to a program that edits a file and waits") from error

    def _yaml(self, text: str) -> None:
        self.screen.line()
        self.screen.line(text.rstrip("\n"))
        self.screen.line()

    def _lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.screen.line(line)

    def _messages(self) -> tuple[Message, ...]:
        found = self.room.found()
        return found.messages if found else ()

    def _now(self) -> str:
        """What is talked about and how it stands, as the last look has it."""
        if self.room.task is not None:
            return next(deeds.status(self.room))
        found = self.room.found()
        return found.about.title if found else "a new talk"

    def _below(self) -> str:
        """The line at the bottom: that, and what goes with the next message."""
        files = f" · with {', '.join(self.room.files)}" if self.room.files else ""
        return one_line(f"{self.now}{files} · /help")


def _interruptible(
    ask: Callable[[Hears], Message | None], coming: Coming, room: Room, question: Message
) -> Message | None:
    """The answer, made by a thread of its own: ^C stops the model, and so does an answer that comes from elsewhere."""
    heard = hears(coming.text, coming.look, coming.named)
    came: list[Message | BaseException | None] = []
    done = threading.Event()  # a join that ^C interrupts takes the thread for ended (threading.py of 3.11)

    def work() -> None:
        try:
            came.append(ask(heard))
        except BaseException as error:
            came.append(error)
        done.set()

    threading.Thread(target=work, name="answer", daemon=True).start()
    while not done.is_set():
        try:
            if not done.wait(LOOK) and room.landed(question):
                heard.cancelled.set()
        except KeyboardInterrupt:
            if heard.cancelled.is_set():
                raise  # twice: whoever presses it will not wait
            heard.cancelled.set()
        except UserError:
            continue  # the hub does not answer now; the model may
    found = came[0]
    if isinstance(found, BaseException):
        raise found
    return found
