"""One answer: the model is asked, looks at what it wants to see, and says something. Start reading at `answer`.

Nothing here can change the repository: the agent's tools read, and what it says is text.
"""

from functools import partial

import msgspec

from runner import git
from runner.agents import Agent
from runner.commands import AGENTS
from runner.errors import UserError
from runner.host import lock, timestamp
from runner.loop.window import compact
from runner.models import Message as Turn
from runner.models import Reply, Request, ToolCall, ToolSpec
from runner.observe import OURS, away
from runner.progress import Refs
from runner.protocols import PROTOCOLS, Act, Malformed, NeedBody
from runner.protocols.lift import lift
from runner.protocols.preflight import memory_of
from runner.talk import context, discussions, looking, matter, papers, showing
from runner.talk.asking import Asker, Cancelled, Hears, Overflow
from runner.talk.desk import Desk, answerer, prompt
from runner.talk.messages import Discussion, Look, Message, answer_id, before, unanswered, within
from runner.tools import observation_cap

__all__ = ["Cancelled", "Hears", "answer"]

SMALL, FEW = 4096, 2
"""Below so many tokens of window only the first tools are offered: all of them would leave no room for the matter."""
LOOKS = 8
"""How often an agent may look before it has to say something."""
TROUBLES = 3
"""Replies that cannot be read, after which the person is told; a look that was taken before counts as one."""
CALM = 0.2

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
        stored = discussions.say(desk.site, id, made, redactor=desk.redactor)
        if stored.answers != question:
            raise UserError("somebody gave another message the id of this answer", "ask again")
        return stored


class _Answer:
    """One answer on its way. `messages` is the conversation with the model, in the neutral form of `runner.models`."""

    def __init__(self, desk: Desk, found: Discussion, asked: Message, hears: Hears) -> None:
        self.desk, self.asked, self.hears = desk, asked, hears
        self.words = papers.reader(desk.site.state, desk.sandbox)
        self.matter = matter.gather(desk.site, desk.base, found, self.words)
        self.about = found.about
        self.earlier = before(found.messages, asked.id)
        self.agent = self._agent()
        hears.agent(self.agent.name)
        turn = sum(1 + len(message.read) for message in self.earlier if message.role == "agent")
        self.asker = Asker(self.agent, desk.model(self.agent, "talk"), hears, desk.redactor, turn)
        self.messages: list[Turn] = []
        self.front = 0
        self.cut = ""
        self.looks: list[Look] = []
        self.troubles = 0

    def made(self) -> Message:
        """The message that answers. Raises `UserError`."""
        cancelled = False
        try:
            text = self._converse()
        except Cancelled:
            text, cancelled = self.asker.shown, True
        used = self.asker.replies
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
        self.asker.load(memory_of(self.desk.site.state))
        self._begin()
        while True:
            try:
                said = self._step()
            except Overflow:
                self._begin()
                continue
            if said is not None:
                if not said.strip():
                    raise UserError(f"{self.agent.name} gave an empty answer", "ask again, or ask another agent")
                return said

    def _begin(self) -> None:
        """The opening for the window as it is known now; what was looked at before is forgotten."""
        task = self.about.task
        about = f"the task {task}" if task else "this repository"
        system = prompt(self.desk, "talk", {"agent": self.agent.name, "about": about})
        made = context.opening(system, self.matter.matter, self.earlier, self.asked, self.asker.window, self._extra)
        clean = self.desk.redactor.clean
        self.messages = [msgspec.structs.replace(turn, text=clean(turn.text)) for turn in made.turns]
        self.front, self.cut = len(self.messages), made.cut

    def _step(self) -> str | None:
        """One reply of the model: the answer, or None after something was looked at or could not be read."""
        self._make_room()
        last = len(self.looks) >= LOOKS or self.troubles >= TROUBLES
        reply = self.asker.send(lambda: self._request(last), self._words)
        read = PROTOCOLS[self.asker.protocol].read(reply, self._allowed(last))
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
        own = () if self.asker.protocol == "native" else (ANSWER,)
        return own if last else (*self._looks, *own)

    def _request(self, last: bool) -> Request:
        turns = (*self.messages, Turn("user", NOW)) if last else tuple(self.messages)
        tools = self._allowed(last) if self.asker.protocol == "native" else (*self._looks, ANSWER)
        only = (ANSWER.name,) if last and self.asker.protocol != "native" else ()
        asked: Request = PROTOCOLS[self.asker.protocol].request(
            turns, tools, max_tokens=self.asker.window.output, temperature=CALM, turn=self.asker.turn, only=only
        )
        return asked

    def _body(self, need: NeedBody) -> str:
        """The text of an answer whose call came as JSON. Whatever form it has, it is the answer."""
        named = ToolCall(need.call.name, {**need.call.arguments, "path": "answer.md"}, need.call.id)
        need = msgspec.structs.replace(need, call=named, instruction=BODY)
        reply = self.asker.send(partial(self._body_request, need), showing.body)
        return self._in_words(reply) or self._plainly()

    def _body_request(self, need: NeedBody) -> Request:
        asked: Request = PROTOCOLS[self.asker.protocol].body_request(
            tuple(self.messages), (*self._looks, ANSWER), need,
            max_tokens=self.asker.window.output, temperature=CALM, turn=self.asker.turn,
        )  # fmt: skip
        return asked

    def _plainly(self) -> str:
        """The last try, for models that no protocol helps: what they were told first, and no word of tools."""
        turns = tuple(self.messages[: self.front])
        most = self.asker.window.output
        asked = Request(turns, max_tokens=most, temperature=CALM, turn=self.asker.turn)
        words = self._in_words(self.asker.send(lambda: asked, self._words))
        if not words:
            raise UserError(f"{self.agent.name} gave no answer that can be read", "ask again, or ask another agent")
        return words

    def _in_words(self, reply: Reply) -> str:
        """What a reply says to a person; nothing where it is a call after all."""
        words = showing.answered(reply.text)
        call = lift(msgspec.structs.replace(reply, text=words), (*looking.SPECS, ANSWER))
        if not words or call is not None or showing.is_action(words):
            return ""
        self._note_length(reply)
        return words

    def _unread(self, reply: Reply, read: Malformed) -> str | None:
        """Words without a call are the answer; anything else the model is told, a few times."""
        words = showing.words(reply.text, self._names, whole=True)
        if read.flaw == "format" and self.asker.protocol != "json" and not words:
            words = showing.answered(reply.text)  # an answer may begin like a call, and be none
        if words and read.flaw in ("format", "tool", "length"):
            self._note_length(reply)
            return words.rstrip()
        self.troubles += 1
        if self.troubles > TROUBLES:
            return self._plainly()
        self.messages += [Turn("assistant", reply.text[:500] or "…"), Turn("user", read.message)]
        return None

    def _look(self, act: Act) -> None:
        call = act.call if act.call.id else msgspec.structs.replace(act.call, id=f"call_{len(self.looks)}")
        what = " ".join(str(value) for value in call.arguments.values())[:200]
        seen = Look(call.name, self.desk.redactor.clean(what))
        self.troubles += seen in self.looks
        self.looks.append(seen)
        self.hears.look(seen)
        found = self.matter
        place = looking.View(
            self.desk.site, found.head, found.base, self.about.id, observation_cap(self.asker.window.context),
            self.desk.redactor, self.words,
        )  # fmt: skip
        said = looking.run(place, call.name, call.arguments)
        self.messages += [
            Turn("assistant", act.thought[:500], calls=(call,)),
            Turn("tool", said, answers=call.id, tool=call.name),
        ]

    def _words(self, text: str) -> str:
        return showing.words(text, self._names)

    def _note_length(self, reply: Reply) -> None:
        if reply.finish == "length":
            most = self.asker.window.output
            said = f"The answer ended at the {most} tokens that one reply of {self.agent.name} may have."
            self.cut = f"{self.cut} {said}".strip()

    def _make_room(self) -> None:
        """Observations that are too many for the window are shortened, the oldest first."""
        if context.fits(self.messages, self.asker.window, self._extra):
            return
        front = tuple(self.messages[: self.front])
        shorter = compact(self.messages[self.front :], front, self.asker.window, self._extra)
        self.messages = list(shorter or front)

    @property
    def _looks(self) -> tuple[ToolSpec, ...]:
        return looking.SPECS if self.asker.window.context >= SMALL else looking.SPECS[:FEW]

    @property
    def _names(self) -> tuple[str, ...]:
        return (*looking.TOOLS, ANSWER.name)

    @property
    def _extra(self) -> int:
        """Characters that the tools cost."""
        return sum(len(str(msgspec.to_builtins(spec))) for spec in (*self._looks, ANSWER))


def _agent_refs(desk: Desk) -> dict[str, str]:
    return git.refs(desk.site.repo, f"{OURS}{AGENTS}")
