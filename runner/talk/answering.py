"""One answer: the model is asked, looks at what it wants to see, and says something. Start reading at `answer`.

Nothing here can change the repository: the agent's tools read, and what it says is text.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, TimeoutError
from typing import NamedTuple, TypeVar

import msgspec

from runner import git
from runner.agents import Agent
from runner.commands import AGENTS
from runner.errors import UserError
from runner.host import lock, timestamp
from runner.models import Message as Turn
from runner.models import Model, ModelError, Reply, Request, ToolCall, ToolSpec
from runner.observe import OURS, away
from runner.progress import Refs
from runner.protocols import PROTOCOLS, Act, Malformed, NeedBody, choose
from runner.protocols.preflight import memory_of
from runner.talk import context, discussions, looking, matter, showing
from runner.talk.desk import Desk, answerer, prompt
from runner.talk.messages import Discussion, Look, Message, answer_id, before, unanswered, within
from runner.tools import observation_cap
from runner.window import Window, compact

T = TypeVar("T")

SMALL, FEW = 4096, 2
"""Below so many tokens of window only the first tools are offered: all of them would leave no room for the matter."""
LOOKS = 8
"""How often an agent may look before it has to say something."""
TROUBLES = 3
"""Replies that cannot be read, after which the person is told."""
SHRINK = 0.6
SHRINKS = 2
CALM = 0.2
CHANGES_PROTOCOL = ("no-tools", "tool-syntax", "grammar")
LADDER = ("native", "json", "text")

ANSWER = ToolSpec(
    showing.ANSWER,
    "Say your answer to the person. Call it when you know enough.",
    {
        "type": "object",
        "properties": {"text": {"type": "string", "x-body": True, "description": "the whole answer, in Markdown"}},
        "required": ["text"],
        "additionalProperties": False,
    },
)
BODY = "Write your whole answer to the person, in Markdown, in exactly ONE ```` block and nothing else."
NOW = "You have looked enough. Answer the person now, with what you know."


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


def answer(desk: Desk, id: str, question: str, hears: Hears) -> Message | None:
    """The answer to a message, made and put into its discussion; what is there already is answered as it is.

    None: another process of this host is at it, or it is no question any more. What was said before a person stopped
    it is stored as `cancelled`. Raises `UserError` when no agent can answer.
    """
    with lock(desk.site.state, f"answer-{id}", wait=False) as ours:
        found = discussions.read(desk.site, id) if ours else None
        if found is None:
            return None
        asked = next((message for message in unanswered(found.messages) if message.id == question), None)
        if asked is None:
            return next((message for message in found.messages if message.id == answer_id(question)), None)
        made = _Answer(desk, found, asked, hears).made()
        return discussions.say(desk.site, id, made, redactor=desk.redactor)


class _Answer:
    """One answer on its way. `messages` is the conversation with the model, in the neutral form of `runner.models`."""

    def __init__(self, desk: Desk, found: Discussion, asked: Message, hears: Hears) -> None:
        self.desk, self.asked, self.hears = desk, asked, hears
        self.matter = matter.gather(desk.site, desk.base, found)
        self.about = found.about
        self.earlier = before(found.messages, asked.id)
        self.agent = self._agent()
        hears.agent(self.agent.name)
        self.model: Model = desk.model(self.agent, "talk")
        self.protocol, self.window, self.shrinks = "native", Window(self.agent.context, self.agent.max_output), 0
        self.messages: list[Turn] = []
        self.front = 0
        self.cut = self.shown = ""
        self.looks: list[Look] = []
        self.troubles = 0
        self.replies: list[Reply] = []
        self.turn = sum(1 + len(message.read) for message in self.earlier if message.role == "agent")

    def made(self) -> Message:
        """The message that answers. Raises `UserError`."""
        cancelled = False
        try:
            text = self._converse()
        except Cancelled:
            text, cancelled = self.shown, True
        used = self.replies
        return Message(
            id=answer_id(self.asked.id),
            at=timestamp(self.desk.now()),
            role="agent",
            who=self.agent.name,
            text=within(text),
            answers=self.asked.id,
            model=(used[-1].model if used else "") or self.agent.model,
            tokens=sum(reply.prompt_tokens + reply.completion_tokens for reply in used),
            cost=round(sum(reply.cost for reply in used), 6),
            cut=self.cut,
            cancelled=cancelled,
            read=tuple(self.looks),
        )

    def _agent(self) -> Agent:
        ours = {name.removeprefix(OURS): oid for name, oid in _agent_refs(self.desk).items()}
        gone = away(self.desk.site.repo, Refs(self.desk.base, "", {}, ours))
        return answerer(self.desk.settings, (self.about.agent, *self.matter.agents), gone)

    # --- the conversation ------------------------------------------------------------------------------------------

    def _converse(self) -> str:
        """Ask, look, ask again, until there is an answer."""
        self._load()
        self._begin()
        while True:
            said = self._step()
            if said is not None:
                if not said.strip():
                    raise UserError(f"{self.agent.name} gave an empty answer", "ask again, or ask another agent")
                return said

    def _load(self) -> None:
        try:
            found = self._waited(self.model.load)
        except ModelError as error:
            raise self._unable(error) from error
        self.window = Window(min(self.agent.context, found.context), self.agent.max_output)
        self.protocol = choose(self.agent.protocol, found, self.model.name)
        if self.agent.protocol == "auto" and self.protocol == "native":  # as stages found out; nobody probes here
            known = memory_of(self.desk.site.state).recall(self.model.identity())
            self.protocol = known or self.protocol

    def _begin(self) -> None:
        """The opening for the window as it is known now; what was looked at before is forgotten."""
        task = self.about.task
        about = f"the task {task}" if task else "this repository"
        system = prompt(self.desk, "talk", {"agent": self.agent.name, "about": about})
        made = context.opening(system, self.matter.matter, self.earlier, self.asked, self.window, self._extra)
        clean = self.desk.redactor.clean
        self.messages = [msgspec.structs.replace(turn, text=clean(turn.text)) for turn in made.turns]
        self.front, self.cut = len(self.messages), made.cut

    def _step(self) -> str | None:
        """One reply of the model: the answer, or None after something was looked at or could not be read."""
        self._make_room()
        last = len(self.looks) >= LOOKS or self.troubles >= TROUBLES
        reply = self._send(lambda: self._request(last), self._words)
        read = PROTOCOLS[self.protocol].read(reply, self._allowed(last))
        if isinstance(read, NeedBody):
            return self._body(read)
        if isinstance(read, Malformed):
            return self._unread(reply, read)
        if read.call.name == ANSWER.name:
            return showing.answered(str(read.call.arguments.get("text", "")))
        self._look(read)
        return None

    def _allowed(self, last: bool) -> tuple[ToolSpec, ...]:
        """Native calls need no tool for saying something: a reply without a call is the answer."""
        own = () if self.protocol == "native" else (ANSWER,)
        return own if last else (*self._looks, *own)

    def _request(self, last: bool) -> Request:
        turns = (*self.messages, Turn("user", NOW)) if last else tuple(self.messages)
        tools = self._allowed(last) if self.protocol == "native" else (*self._looks, ANSWER)
        only = (ANSWER.name,) if last and self.protocol != "native" else ()
        asked: Request = PROTOCOLS[self.protocol].request(
            turns, tools, max_tokens=self.window.output, temperature=CALM, turn=self._next, only=only
        )
        return asked

    def _body(self, need: NeedBody) -> str:
        """The text of an answer whose call came as JSON. Whatever form it has, it is the answer."""
        named = ToolCall(need.call.name, {**need.call.arguments, "path": "answer.md"}, need.call.id)
        need = msgspec.structs.replace(need, call=named, instruction=BODY)
        reply = self._send(
            lambda: PROTOCOLS[self.protocol].body_request(
                tuple(self.messages), (*self._looks, ANSWER), need,
                max_tokens=self.window.output, temperature=CALM, turn=self._next,
            ),
            showing.body,
        )  # fmt: skip
        self._note_length(reply)
        return showing.answered(reply.text)

    def _unread(self, reply: Reply, read: Malformed) -> str | None:
        """Words without a call are the answer; anything else the model is told, a few times."""
        words = showing.words(reply.text, self._names, whole=True)
        if words and read.flaw in ("format", "tool", "length"):
            self._note_length(reply)
            return words.rstrip()
        self.troubles += 1
        if self.troubles > TROUBLES:
            raise UserError(f"{self.agent.name} gave no answer that can be read", "ask again, or ask another agent")
        self.messages += [Turn("assistant", reply.text[:500] or "…"), Turn("user", read.message)]
        return None

    def _look(self, act: Act) -> None:
        call = act.call if act.call.id else msgspec.structs.replace(act.call, id=f"call_{len(self.looks)}")
        what = " ".join(str(value) for value in call.arguments.values())[:200]
        seen = Look(call.name, self.desk.redactor.clean(what))
        self.looks.append(seen)
        self.hears.look(seen)
        found = self.matter
        place = looking.View(
            self.desk.site, found.head, found.base, self.about.id, observation_cap(self.window.context),
            self.desk.redactor,
        )  # fmt: skip
        said = looking.run(place, call.name, call.arguments)
        self.messages += [
            Turn("assistant", act.thought[:500], calls=(call,)),
            Turn("tool", said, answers=call.id, tool=call.name),
        ]

    # --- the model -------------------------------------------------------------------------------------------------

    def _send(self, make: Callable[[], Request], words: Callable[[str], str]) -> Reply:
        """Put a request, changing what can be changed about one that fails. Raises `UserError`."""
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
        step = LADDER.index(self.protocol)
        if error.kind in CHANGES_PROTOCOL and step + 1 < len(LADDER):
            self.protocol = LADDER[step + 1]
            return True
        if error.kind == "overflow" and self.shrinks < SHRINKS:
            self.shrinks += 1
            self.window = msgspec.structs.replace(self.window, context=int(self.window.context * SHRINK))
            self._begin()
            return True
        return False

    def _reply(self, request: Request, words: Callable[[str], str]) -> Reply:
        so_far = ""

        def hear(piece: str) -> None:
            nonlocal so_far
            if self.hears.cancelled.is_set():
                raise Cancelled  # closes the connection, upon which the server stops
            so_far += piece
            self._show(words(so_far))

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
                raise Cancelled
            try:
                return answer.result(timeout=0.1)
            except TimeoutError:
                if answer.done():
                    raise

    def _show(self, text: str) -> None:
        """Let those who follow see whole words, without secrets."""
        clean = self.desk.redactor.clean(showing.settled(text))
        if clean and clean != self.shown:
            self.shown = clean
            self.hears.text(clean)

    def _words(self, text: str) -> str:
        return showing.words(text, self._names)

    def _note_length(self, reply: Reply) -> None:
        if reply.finish == "length":
            said = f"The answer ended at the {self.window.output} tokens that one reply of {self.agent.name} may have."
            self.cut = f"{self.cut} {said}".strip()

    def _unable(self, error: ModelError) -> UserError:
        what = f"{self.agent.name} could not answer: {error}"
        return UserError(what, "ask again when its endpoint answers, or ask another agent")

    def _make_room(self) -> None:
        """Observations that are too many for the window are shortened, the oldest first."""
        if context.fits(self.messages, self.window, self._extra):
            return
        front = tuple(self.messages[: self.front])
        shorter = compact(self.messages[self.front :], front, self.window, self._extra)
        self.messages = list(shorter or front)

    @property
    def _looks(self) -> tuple[ToolSpec, ...]:
        return looking.SPECS if self.window.context >= SMALL else looking.SPECS[:FEW]

    @property
    def _names(self) -> tuple[str, ...]:
        return (*looking.TOOLS, ANSWER.name)

    @property
    def _extra(self) -> int:
        """Characters that the tools cost."""
        return sum(len(str(msgspec.to_builtins(spec))) for spec in (*self._looks, ANSWER))

    @property
    def _next(self) -> int:
        return self.turn + len(self.replies)


def _agent_refs(desk: Desk) -> dict[str, str]:
    return git.refs(desk.site.repo, f"{OURS}{AGENTS}")
