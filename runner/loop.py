"""Ask the model, do what it asks, tell it what came of it.

Every step is on disk before the next begins, and whatever the loop decides follows from what is on disk: a run that
was killed goes on as the same run.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from runner.errors import ToolError
from runner.models import Message, Model, ModelError, Reply, Request, ToolCall
from runner.outcome import Asked, Bounds, Exhausted, Failed, Finished, Outcome, Said, Stopped, turns_left
from runner.protocols import PROTOCOLS, Act, Malformed, NeedBody, Read
from runner.repeats import WITHDRAWN, circling, repeated, strikes
from runner.rules import CALM, MALFORMED, fall, finishing, manner, unusable
from runner.teaching import last_turn, not_again, notes
from runner.tools import Answer, Ask, Finish, Observation, Tool, observation_cap
from runner.tools.text import elide, storable
from runner.trajectory import Ended, Ran, Replied, Started, Told, Trajectory, durable, turns
from runner.window import Window, compact, corrected, crowded, size, without_repeats

__all__ = ["Asked", "Bounds", "Exhausted", "Failed", "Finished", "Outcome", "Said", "Stopped", "converse"]

BELOW = {"native": "json", "json": "text"}
"""The ladder (§4.4): the protocol that is tried next, as far as `PROTOCOLS` has it."""
CHANGES_PROTOCOL = frozenset({"no-tools", "tool-syntax", "grammar"})
"""Kinds of `ModelError` that another protocol mends; once is enough, the same request would fail the same way (R17)."""
RESTARTS = 1
"""How often an attempt that goes in circles begins anew from its notes (§4.7)."""
OVERFLOWN = 1.5
"""How far an estimate was off if a server says that the prompt did not fit: the next one is this much smaller."""
CONTROLS = ("finish", "ask")
WAIT = "Wait for the answer."
KEPT_REPLY = 500
"""Characters of an unusable reply that stay in the conversation: more would teach the mistake."""


class Hooks(msgspec.Struct, frozen=True):
    """What the loop asks of its caller; `converse` says what each is for."""

    before_step: Callable[[], Stopped | tuple[Said, ...]]
    after_step: Callable[[str], str | None]
    on_text: Callable[[str], None] | None
    clock: Callable[[], float]


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
    seeds: tuple[Act, ...] = (),
    on_text: Callable[[str], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Take an attempt from where its trajectory stands to an outcome.

    `protocol` (a key of `PROTOCOLS`), `opening` (the prompt) and `seeds` (calls that are really run and shown as the
    first turns) matter only while the trajectory is empty. `before_step` is asked before each request; `after_step`
    is told the tool that ran, before its result is written, and gives the id of the workspace's state. A call that is
    `trajectory.pending` runs first: restore the workspace to `trajectory.snapshot` before calling.
    A conversation that has finished or asked answers the same again until someone says something new.
    Raises `UserError` where only a person can help (a wrong key, an unknown model, a sandbox that does not start).
    """
    talk = _Talk(model, tools, trajectory, bounds, Hooks(before_step, after_step, on_text, clock))
    if trajectory.segment is None:
        talk.begin(protocol, opening, seeds)
    outcome = talk.step()
    while outcome is None:
        outcome = talk.step()
    detail = "; ".join(str(value) for value in msgspec.structs.astuple(outcome))
    trajectory.append(Ended(type(outcome).__name__, detail))
    return outcome


class _Talk:
    """One run of a conversation. All that it knows from step to step is in the trajectory."""

    def __init__(
        self, model: Model, tools: Mapping[str, Tool], trajectory: Trajectory, bounds: Bounds, hooks: Hooks
    ) -> None:
        self.model, self.tools, self.trajectory, self.bounds, self.hooks = model, tools, trajectory, bounds, hooks
        self.specs = tuple(tool.spec for tool in tools.values())
        self.overhead = len(msgspec.json.encode(self.specs))

    def begin(self, protocol: str, opening: tuple[Message, ...], seeds: tuple[Act, ...]) -> None:
        """Open with turns that were really taken: no example in words works as well (references/models.md §0.5)."""
        messages = list(opening)
        room = observation_cap(self.bounds.context) // 2
        for number, seed in enumerate(seeds):
            ran, _ = self._run(Act(_with_id(seed.call, f"seed_{number}"), seed.thought))
            if not ran.fault:
                messages += turns(msgspec.structs.replace(ran, text=elide(ran.text, room, "look again for the rest")))
        self.trajectory.append(Started(self.model.name, protocol, tuple(messages), opening=len(messages)))

    def step(self) -> Outcome | None:
        """One turn; the outcome if it is the last. A reply that is pending is acted upon before anything else."""
        if self.trajectory.pending:
            return self._act()
        heard = self.hooks.before_step()
        if isinstance(heard, Stopped):
            return heard
        self._hear(heard)
        return self._settled() or self._within_bounds() or self._make_room() or self._ask()

    def _hear(self, said: tuple[Said, ...]) -> None:
        for word in said:
            if word.id not in self.trajectory.heard:
                self.trajectory.append(Told(storable(word.text), "person", id=word.id))

    def _settled(self) -> Outcome | None:
        """What the last turns have decided already, if nobody has said anything since."""
        recent = self.trajectory.recent
        last = recent[-1] if recent else None
        if isinstance(last, Ran) and last.call.name in CONTROLS and not last.fault:
            return self._run(Act(last.call))[1]
        why = fall(recent)
        if why is not None and self._fall(why):
            return None
        if len(unusable(recent)) >= MALFORMED:
            return Failed(f"{MALFORMED} replies in a row could not be read", "format")
        reason = circling(recent)
        return self._begin_anew(reason) if reason else None

    def _begin_anew(self, reason: str) -> Failed | None:
        """Give a conversation that goes in circles one fresh start from its notes (§4.7), then give it up."""
        if self.trajectory.restarts >= RESTARTS:
            return Failed(reason, "loop")
        self._continue([*self._front, *self._notes], "restart", noted=bool(self._notes))
        return None

    def _within_bounds(self) -> Exhausted | None:
        """Keep the last turn that fits for finishing."""
        recent, window = self.trajectory.recent, self._window
        left, limit = turns_left(self.bounds, self.trajectory.totals, window.tokens(self._size) + window.output)
        state = finishing(recent)
        if left < 1 or (left < 2 and state == "taken"):
            return Exhausted(limit)
        if left < 2 and state == "no":
            self.trajectory.append(Told(last_turn(limit), "last turn"))
        return None

    def _make_room(self) -> Failed | None:
        """Compact the conversation if it has grown too long for the window."""
        window = self._window
        if not crowded(window, size(self._front) + self.overhead, self._size):
            return None
        if self._compact(window, "window") or window.tokens(self._size) <= window.budget:
            return None
        return Failed(f"the task does not fit into a window of {window.context} tokens", "window")

    def _compact(self, window: Window, why: str) -> bool:
        """Begin a shorter segment; False if the conversation cannot be made shorter."""
        segment, messages = self._segment, self.trajectory.messages
        turns = messages[segment.opening + segment.noted :]
        shorter = compact(turns, [*self._front, *self._notes], window, self.overhead)
        if shorter is None or size(shorter) >= size(messages):
            return False
        self._continue(shorter, why, noted=bool(self._notes))
        return True

    def _ask(self) -> Failed | None:
        how = manner(self.trajectory.recent, tuple(self.tools))
        request = self._protocol.request(
            tuple(self.trajectory.messages),
            self.specs,
            max_tokens=self._window.output,
            temperature=how.temperature,
            turn=self.trajectory.replies,
            only=how.only,
        )
        return self._send(request, how.only)

    def _send(self, request: Request, only: tuple[str, ...], body: bool = False) -> Failed | None:
        """Put one request and have its reply on disk, or make of the error what can be made."""
        started = self.hooks.clock()
        try:
            reply = durable(self.model.reply(request, self.hooks.on_text))
        except ModelError as error:
            return self._unanswered(error)
        seconds = self.hooks.clock() - started
        self.trajectory.append(Replied(reply, self.trajectory.asked, self._size, seconds, only, body))
        return None

    def _unanswered(self, error: ModelError) -> Failed | None:
        """Change the request where that helps; the same one is never sent again (R17)."""
        if error.kind in CHANGES_PROTOCOL and self._fall(error.kind):
            return None
        last = self.trajectory.last
        if error.kind == "overflow" and not (isinstance(last, Started) and last.why == "overflow"):
            window = self._window
            if self._compact(msgspec.structs.replace(window, ratio=window.ratio * OVERFLOWN), "overflow"):
                return None
        return Failed(str(error), error.kind)

    def _fall(self, why: str) -> bool:
        """Go on in the protocol below, with the same conversation; False if there is none."""
        below = BELOW.get(self._segment.protocol)
        if below not in PROTOCOLS:
            return False
        self._continue(self.trajectory.messages, why, noted=self._segment.noted, protocol=below)
        return True

    def _continue(self, messages: Sequence[Message], why: str, *, noted: bool, protocol: str = "") -> None:
        segment = self._segment
        name, opening = protocol or segment.protocol, segment.opening
        self.trajectory.append(Started(self.model.name, name, tuple(messages), opening, why, noted))

    # After the reply.

    def _act(self) -> Outcome | None:
        """Do what the pending reply says: run its call, ask for the text it still owes, or say why neither can be."""
        reply = self.trajectory.pending[0]
        read = self._read()
        if isinstance(read, NeedBody):
            return self._ask_for_body(read, reply.only)
        if isinstance(read, Malformed):
            said = elide(_raw(reply.reply), KEPT_REPLY, "none of it was done")
            self.trajectory.append(Told(read.message, read.flaw, after=said))
            return None
        call = _with_id(read.call, f"call_{self.trajectory.replies}")
        if repeated(self.trajectory.recent, call):
            self._refuse(call, read.thought)
            return None
        ran, control = self._run(msgspec.structs.replace(read, call=call))
        self.trajectory.append(msgspec.structs.replace(ran, snapshot=self.hooks.after_step(call.name)))
        return control

    def _read(self) -> Read:
        """What the pending reply means; the same on any day, so that a crash changes nothing."""
        first, *bodies = self.trajectory.pending
        allowed = tuple(spec for spec in self.specs if not first.only or spec.name in first.only)
        read: Read = self._protocol.read(first.reply, allowed)
        for body in bodies:
            if isinstance(read, NeedBody):
                read = self._protocol.read_body(body.reply, read)
        return read

    def _ask_for_body(self, need: NeedBody, only: tuple[str, ...]) -> Failed | None:
        request = self._protocol.body_request(
            tuple(self.trajectory.messages),
            self.specs,
            need,
            max_tokens=self._window.output,
            temperature=CALM,
            turn=self.trajectory.replies,
        )
        return self._send(request, only, body=True)

    def _refuse(self, call: ToolCall, thought: str) -> None:
        """Do not run what was just run. The second time the repetitions are taken out of the model's sight (§4.7)."""
        if strikes(self.trajectory.recent) + 1 >= WITHDRAWN:
            fewer = without_repeats(self.trajectory.messages, call)
            self._continue(fewer, "repeat", noted=self._segment.noted)
        others = [name for name in self.tools if name != call.name]
        self.trajectory.append(Told(not_again(call.name, others), "repeat", after=thought, call=call))

    def _run(self, act: Act) -> tuple[Ran, Outcome | None]:
        """Run a call. What a tool refuses is told to the model; `finish` and `ask` are outcomes."""
        started, fault = self.hooks.clock(), False
        try:
            answer = self.tools[act.call.name].run(act.call.arguments)
        except ToolError as error:
            answer, fault = Observation(str(error)), True
        seconds = self.hooks.clock() - started
        seen = answer if isinstance(answer, Observation) else Observation(WAIT)
        ran = Ran(act.call, act.thought, storable(seen.text), seconds, seen.exit, fault, act.lifted)
        return ran, _outcome(answer)

    # What the trajectory says.

    @property
    def _segment(self) -> Started:
        assert self.trajectory.segment is not None
        return self.trajectory.segment

    @property
    def _protocol(self) -> Any:
        return PROTOCOLS[self._segment.protocol]

    @property
    def _front(self) -> Sequence[Message]:
        return self.trajectory.messages[: self._segment.opening]

    @property
    def _notes(self) -> Sequence[Message]:
        return [Message("user", text)] if (text := notes(self.trajectory)) else []

    @property
    def _size(self) -> int:
        return size(self.trajectory.messages) + self.overhead

    @property
    def _window(self) -> Window:
        window = Window(self.bounds.context, self.bounds.max_output)
        last = self.trajectory.last_reply
        return corrected(window, last.sent, last.reply.prompt_tokens) if last else window


def _outcome(answer: Answer) -> Finished | Asked | None:
    match answer:
        case Finish(summary):
            return Finished(summary)
        case Ask(question):
            return Asked(question)
    return None


def _with_id(call: ToolCall, name: str) -> ToolCall:
    """A call that its answer can be tied to, whether or not the server gave it a name."""
    return call if call.id else msgspec.structs.replace(call, id=name)


def _raw(reply: Reply) -> str:
    """A reply as it may be shown to the model that gave it."""
    calls = [f"{call.name}({storable(str(call.arguments))})" for call in reply.calls]
    return "\n".join([reply.text, *calls]).strip()
