"""Ask the model, do what it asks, tell it what came of it.

Every step is on disk before the next begins, and whatever the loop decides follows from what is on disk: a run that
was killed goes on as the same run.
"""

import time
from collections.abc import Callable, Mapping

import msgspec

from runner.errors import ToolError
from runner.loop.conversation import Conversation
from runner.loop.outcome import Asked, Bounds, Exhausted, Failed, Finished, Outcome, Said, Stopped, turns_left
from runner.loop.repeats import WITHDRAWN, circling, repeated, strikes
from runner.loop.rules import CALM, MALFORMED, fall, finishing, manner, unusable
from runner.loop.teaching import last_turn, not_again
from runner.loop.trajectory import Ended, Ran, Replied, Told, Trajectory, durable, turns
from runner.models import Message, Model, ModelError, Reply, Request, ToolCall
from runner.protocols import Act, Malformed, NeedBody, Read
from runner.tools import Answer, Ask, Finish, Observation, Tool, observation_cap
from runner.tools.text import elide, storable

__all__ = ["Asked", "Bounds", "Exhausted", "Failed", "Finished", "Outcome", "Said", "Stopped", "converse"]

CHANGES_PROTOCOL = frozenset({"no-tools", "tool-syntax", "grammar"})
"""Kinds of `ModelError` that another protocol mends; once is enough, the same request would fail the same way (R17)."""
RESTARTS = 1
"""How often an attempt that goes in circles begins anew from its notes (docs/models.md §4.7)."""
SEEDS = 2
"""The two seeded turns together may be as long as one observation: they stay for the whole run."""
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
    noted: Callable[[], tuple[str, ...]]


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
    noted: Callable[[], tuple[str, ...]] = tuple,
) -> Outcome:
    """Take an attempt from where its trajectory stands to an outcome.

    `protocol` (a key of `PROTOCOLS`), `opening` (the prompt) and `seeds` (calls that are really run and shown as the
    first turns) matter only while the trajectory is empty. `before_step` is asked before each request; `after_step`
    is told the tool that ran, before its result is written, and gives the id of the workspace's state; `noted` gives
    what that tool wrote into the task's history. A call that is `trajectory.pending` runs first: restore the workspace
    to `trajectory.snapshot` before calling.
    A conversation that has finished or asked answers the same again until someone says something new.
    Raises `UserError` where only a person can help (a wrong key, an unknown model, a sandbox that does not start).
    """
    talk = _Talk(model, tools, trajectory, bounds, Hooks(before_step, after_step, on_text, clock, noted))
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
        self.conversation = Conversation(trajectory, model.name, self.specs, bounds)

    def begin(self, protocol: str, opening: tuple[Message, ...], seeds: tuple[Act, ...]) -> None:
        """Open with turns that were really taken: with two of them 7 and 9 of 10 actions were valid, without none."""
        messages = list(opening)
        room = observation_cap(self.bounds.context) // SEEDS
        for number, seed in enumerate(seeds):
            ran, _ = self._run(Act(_with_id(seed.call, f"seed_{number}"), seed.thought))
            if not ran.fault:
                messages += turns(msgspec.structs.replace(ran, text=elide(ran.text, room, "look again for the rest")))
        self.conversation.begin(protocol, messages)

    def step(self) -> Outcome | None:
        """One turn; the outcome if it is the last. A reply that is pending is acted upon before anything else."""
        if self.trajectory.pending:
            return self._act()
        heard = self.hooks.before_step()
        if isinstance(heard, Stopped):
            return heard
        for word in heard:
            if word.id not in self.trajectory.heard:
                self.trajectory.append(Told(storable(word.text), "person", id=word.id))
        return self._settled() or self._within_bounds() or self._within_window() or self._ask()

    def _settled(self) -> Outcome | None:
        """What the last turns have decided already, if nobody has said anything since."""
        recent = self.trajectory.recent
        last = recent[-1] if recent else None
        if isinstance(last, Ran) and last.call.name in CONTROLS and not last.fault:
            return self._run(Act(last.call))[1]
        why = fall(recent)
        if why is not None and self.conversation.fall(why):
            return None
        if len(unusable(recent)) >= MALFORMED:
            return Failed(f"{MALFORMED} replies in a row could not be read", "format")
        reason = circling(recent)
        if reason is not None and self.trajectory.restarts >= RESTARTS:
            return Failed(reason, "loop")
        if reason is not None:
            self.conversation.begin_anew()
        elif isinstance(last, Told) and last.call and last is self.trajectory.last and strikes(recent) >= WITHDRAWN:
            self.conversation.forget(last.call)
        return None

    def _within_bounds(self) -> Exhausted | None:
        """Keep the last turn that fits for finishing."""
        recent, window = self.trajectory.recent, self.conversation.window
        next_tokens = window.tokens(self.conversation.size) + window.output
        left, limit = turns_left(self.bounds, self.trajectory.totals, next_tokens)
        state = finishing(recent)
        if left < 1 or (left < 2 and state == "taken"):
            return Exhausted(limit)
        if left < 2 and state == "no":
            self.trajectory.append(Told(last_turn(limit), "last turn"))
        return None

    def _within_window(self) -> Failed | None:
        if self.conversation.make_room():
            return None
        need = self.conversation.window.tokens(self.conversation.size) + self.conversation.window.output
        return Failed(
            f"the task does not fit into a window of {self.bounds.context} tokens, it needs some {need}: "
            "raise `context` of the agent in agents.yaml, or give it to another agent",
            "window",
        )

    def _ask(self) -> Failed | None:
        how = manner(self.trajectory.recent, tuple(self.tools))
        request = self.conversation.protocol.request(
            tuple(self.trajectory.messages),
            self.specs,
            max_tokens=self.conversation.window.output,
            temperature=how.temperature,
            turn=self.trajectory.replies,
            only=how.only,
        )
        return self._send(request, how.only)

    def _ask_for_body(self, need: NeedBody, only: tuple[str, ...]) -> Failed | None:
        request = self.conversation.protocol.body_request(
            tuple(self.trajectory.messages),
            self.specs,
            need,
            max_tokens=self.conversation.window.output,
            temperature=CALM,
            turn=self.trajectory.replies,
        )
        return self._send(request, only, body=True)

    def _send(self, request: Request, only: tuple[str, ...], body: bool = False) -> Failed | None:
        """Put one request and have its reply on disk, or change what can be changed about a request that failed."""
        started = self.hooks.clock()
        try:
            reply = durable(self.model.reply(request, self.hooks.on_text))
        except ModelError as error:
            changed = error.kind in CHANGES_PROTOCOL and self.conversation.fall(error.kind)
            changed = changed or (error.kind == "overflow" and self.conversation.shrink())
            return None if changed else Failed(str(error), error.kind)
        seconds = self.hooks.clock() - started
        self.trajectory.append(Replied(reply, self.trajectory.asked, self.conversation.size, seconds, only, body))
        return None

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
            others = [name for name in self.tools if name != call.name]
            self.trajectory.append(Told(not_again(call.name, others), "repeat", after=read.thought, call=call))
            return None
        ran, control = self._run(msgspec.structs.replace(read, call=call))
        after = self.hooks.after_step(call.name)
        self.trajectory.append(msgspec.structs.replace(ran, snapshot=after, notes=self.hooks.noted()))
        return control

    def _read(self) -> Read:
        """What the pending reply means: the same whenever it is read, so that a crash changes nothing."""
        first, *bodies = self.trajectory.pending
        protocol = self.conversation.protocol
        allowed = tuple(spec for spec in self.specs if not first.only or spec.name in first.only)
        read: Read = protocol.read(first.reply, allowed)
        for body in bodies:
            if isinstance(read, NeedBody):
                read = protocol.read_body(body.reply, read)
        return read

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
