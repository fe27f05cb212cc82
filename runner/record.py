"""What was done: `<id>/record.yaml` and `<id>/updates.jsonl`, files ↔ frozen values. Only the runner writes them."""

from typing import Literal

import msgspec

from runner.lifecycle import Stage

State = Literal["working", "held", "ready", "done", "closed"]
UpdateType = Literal["status_change", "progress_update", "note"]


class Hold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a stage stands still, in words for a person, and since when (ISO 8601, UTC)."""

    reason: str
    since: str


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
    the gates saw. Times are ISO 8601 in UTC, `cost` in US dollars; `reworks` counts the rework claims of this agent.
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
    reworks: int = 0
    hold: Hold | None = None


class PastAttempt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An earlier attempt at a stage."""

    stage: Stage
    entry: Entry


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of `record.yaml`."""

    version: Literal[1]
    request: Request
    stages: dict[Stage, Entry] = {}
    attempts: tuple[PastAttempt, ...] = ()
    result_path: str | None = None


class Update(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of `updates.jsonl`. An agent's line has `agent`, a person's has `actor`."""

    id: str
    timestamp: str
    agent: str | None
    actor: str | None
    update_type: UpdateType
    content: str
