"""A task's record and updates as one value, and how each event changes it. Pure.

What is written here is what a stage's commit carries: `<folder>/record.yaml` and `<folder>/updates.jsonl`.
"""

from collections.abc import Iterable

import msgspec

from runner.commands import Command
from runner.lifecycle import Stage
from runner.record import Entry, PastAttempt, Record, Request, Update, UpdateType, dump_record, dump_updates, update_id

RECORD = "record.yaml"
UPDATES = "updates.jsonl"


class History(msgspec.Struct, frozen=True):
    """The record and its updates, in the order in which they happened."""

    record: Record
    updates: tuple[Update, ...] = ()

    def entry(self, stage: Stage) -> Entry:
        """The present attempt at a stage, which must be there."""
        return self.record.stages[stage]

    def files(self, folder: str) -> dict[str, bytes | None]:
        """Path → content of the two files that carry this value."""
        return {f"{folder}/{RECORD}": dump_record(self.record), f"{folder}/{UPDATES}": dump_updates(self.updates)}


def begin(request: Request) -> History:
    """The history of a task that is claimed for the first time."""
    return History(Record(1, request))


def restarted(history: History, request: Request) -> History:
    """A history that begins again after a revert: every entry so far is an earlier attempt."""
    entries = tuple(PastAttempt(stage, entry) for stage, entry in history.record.stages.items())
    return History(Record(1, request, attempts=history.record.attempts + entries), history.updates)


def reworded(history: History, request: Request) -> History:
    """A history whose task text a person changed and took: what is done stays done."""
    return msgspec.structs.replace(history, record=msgspec.structs.replace(history.record, request=request))


def skipping(history: History, stages: Iterable[Stage]) -> History:
    """A history in which stages are noted as passed over by a person."""
    skipped = tuple(stage for stage in Stage if stage in {*history.record.skipped, *stages})
    return msgspec.structs.replace(history, record=msgspec.structs.replace(history.record, skipped=skipped))


def with_entry(history: History, stage: Stage, entry: Entry) -> History:
    """The stage's entry replaced; one of an earlier attempt moves to `attempts`, and earlier stages are marked done."""
    before = history.record.stages.get(stage)
    past = history.record.attempts
    if before is not None and before.attempt != entry.attempt:
        past = (*past, PastAttempt(stage, before))
    stages = {name: _done(old) for name, old in history.record.stages.items() if name != stage} | {stage: entry}
    ordered = {name: stages[name] for name in Stage if name in stages}
    return msgspec.structs.replace(
        history, record=msgspec.structs.replace(history.record, stages=ordered, attempts=past)
    )


def _done(entry: Entry) -> Entry:
    return msgspec.structs.replace(entry, state="done") if entry.state == "ready" else entry


def note(history: History, stage: Stage, kind: UpdateType, content: str, at: str, *, by_agent: bool = False) -> History:
    """One more update under the stage's present claim; `by_agent`: the agent said it, else the runner saw it."""
    entry = history.entry(stage)
    known = {update.id for update in history.updates}
    sequence = 0
    while (fresh := update_id(entry.claim, sequence)) in known:
        sequence += 1
    update = Update(fresh, at, entry.agent if by_agent else None, None, kind, content)
    return msgspec.structs.replace(history, updates=(*history.updates, update))


def heard(history: History, commands: Iterable[Command]) -> History:
    """The commands that the updates do not hold yet, copied there under their own ids."""
    known = {update.id for update in history.updates}
    new = tuple(
        Update(command.id, command.at, None, command.who, "note", spoken(command))
        for command in commands
        if command.id not in known
    )
    return msgspec.structs.replace(history, updates=history.updates + new)


def spoken(command: Command) -> str:
    """A command as one reads it: the verb and what was said with it."""
    words = [str(value) for name, value in command.args.items() if name not in ("stage", "attempt")]
    return " ".join([command.verb, *words])


def after(history: History, stage: Stage, earlier: History) -> History:
    """A history that goes on after an attempt at `stage` whose branch ended: its entry is an earlier attempt, its
    updates come first, each once."""
    updates = {update.id: update for update in (*earlier.updates, *history.updates)}
    ended = (PastAttempt(stage, msgspec.structs.replace(earlier.entry(stage), state="closed")),)
    kept = (*history.record.attempts, *earlier.record.attempts, *ended)
    present = history.record.stages.get(stage)
    taken = (stage, present.attempt) if present else None  # it becomes an earlier attempt with the next entry
    attempts = {(past.stage, past.entry.attempt): past for past in kept if (past.stage, past.entry.attempt) != taken}
    record = msgspec.structs.replace(history.record, attempts=tuple(attempts.values()))
    return msgspec.structs.replace(history, record=record, updates=tuple(updates.values()))
