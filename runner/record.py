"""What was done: `<id>/record.yaml` and `<id>/updates.jsonl`, files ↔ frozen values. Only the runner writes them."""

from collections.abc import Iterable
from typing import Literal
from uuid import UUID, uuid5

import msgspec

from runner.errors import UserError
from runner.lifecycle import STAGES, Stage
from runner.parsing import yamldoc
from runner.parsing.characters import whole

State = Literal["working", "held", "ready", "done", "closed"]
HoldKind = Literal["failure", "input", "budget"]
UpdateType = Literal["status_change", "progress_update", "note"]


class Hold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a stage stands still, in words for a person, and since when (ISO 8601, UTC).

    `kind` says who ends it: a `failure` is reworked or escalated first, `input` waits for an answer, `budget` for more.
    """

    reason: str
    since: str
    kind: HoldKind = "failure"


class Gate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Evidence that the runner itself observed. `exit` 0 is passed; None: it did not run to its end."""

    name: str
    command: str
    exit: int | None
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the gate says yes."""
        return self.exit == 0


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The task's text as it was when its first stage was claimed. `sha256` is that of the whole task file."""

    title: str
    body: str
    sha256: str
    accepted_by: str
    source: str
    complexity: int
    complexity_reason: str
    stages: tuple[Stage, ...]
    acceptance: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    tests_must_fail_before: bool = True


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One attempt at one stage.

    `claim` is a UUID made by whoever took the stage; `base` the base commit last merged in; `gated` the commit that
    the gates saw. Times are ISO 8601 in UTC, `cost` in US dollars, `seconds` those that the agent worked; `reworks`
    counts the rework claims of this agent; `sandbox` is what held commands when the gates ran (`Sandbox.level`).
    """

    state: State
    attempt: int
    agent: str
    model: str
    claim: str
    host: str
    base: str
    started: str
    gated: str | None = None
    gates: tuple[Gate, ...] = ()
    progress: int = 0
    finished: str | None = None
    steps: int = 0
    tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    reworks: int = 0
    hold: Hold | None = None
    sandbox: str = ""


class PastAttempt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An earlier attempt at a stage."""

    stage: Stage
    entry: Entry


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of `record.yaml`. `skipped` are stages that a person's `set-status` passed over."""

    version: Literal[1]
    request: Request
    stages: dict[Stage, Entry] = {}
    attempts: tuple[PastAttempt, ...] = ()
    result_path: str | None = None
    skipped: tuple[Stage, ...] = ()


class Update(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of `updates.jsonl`. An agent's line has `agent`, a person's has `actor`."""

    id: str
    timestamp: str
    agent: str | None
    actor: str | None
    update_type: UpdateType
    content: str


RECORD_LIMIT = 1 << 20
"""Bytes of a `record.yaml`: it grows with every attempt, and a task must not get stuck by its own history."""


def parse_record(data: bytes, name: str = "record.yaml") -> Record:
    """The record in the file `name`. Raises `UserError` with key, line and remedy."""
    return yamldoc.load(data, name, Record, RECORD_LIMIT)


def dump_record(record: Record) -> bytes:
    """The bytes of `record.yaml`: equal records give equal bytes, whatever order their stages were entered in."""
    stages = {stage: record.stages[stage] for stage in STAGES if stage in record.stages}
    return yamldoc.dump(msgspec.structs.replace(record, stages=stages))


def parse_updates(data: bytes, name: str = "updates.jsonl") -> tuple[Update, ...]:
    """The history in the file `name`, oldest first; nothing in it is passed over.

    Raises `UserError` that names the line: for one that is no update, is cut off, or has the id of an earlier one.
    """
    if not data:
        return ()
    lines = data.split(b"\n")
    if lines[-1]:
        raise UserError(f"{name}: line {len(lines)} has no end, it may be cut off", _RESTORE)
    updates = tuple(_update(line, f"{name}: line {number}") for number, line in enumerate(lines[:-1], 1))
    _refuse_doubles(updates, name)
    return updates


_RESTORE = "take the file from the commit before (git log -p), or remove the bad line"


def _update(line: bytes, place: str) -> Update:
    try:
        return msgspec.json.decode(line, type=Update)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{place} is not an update: {error}", _RESTORE) from error


def _refuse_doubles(updates: tuple[Update, ...], name: str) -> None:
    seen: dict[str, int] = {}
    for number, update in enumerate(updates, 1):
        first = seen.setdefault(update.id, number)
        if first != number:
            raise UserError(f"{name}: line {number} has the id of line {first}", _RESTORE)


def dump_updates(updates: Iterable[Update]) -> bytes:
    """The bytes of `updates.jsonl`, one line each. Half characters (lone surrogates) become U+FFFD, as in YAML."""
    return b"".join(msgspec.json.encode(_whole(update)) + b"\n" for update in updates)


def _whole(update: Update) -> Update:
    actor = whole(update.actor) if update.actor else update.actor
    return msgspec.structs.replace(update, content=whole(update.content), actor=actor)


def update_id(claim: str, sequence: int) -> str:
    """The id of the update number `sequence` of a claim (a UUID): the same wherever and however often it is made."""
    return str(uuid5(UUID(claim), str(sequence)))
