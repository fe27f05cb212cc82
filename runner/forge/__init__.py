"""Where proposals live. `local` is plain Git; `github` is pull requests."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec

from runner.git import Identity
from runner.lifecycle import StageRef
from runner.web import Page

Subject = Literal["issue", "pull_request", "diff", "review_threads", "file", "code", "log"]
"""What an agent may read there; `log` is that of the checks on its own branch."""


class Proposal(msgspec.Struct, frozen=True):
    """A stage that waits for its merge: `head` (a commit id) of `branch` is to go into `target`."""

    ref: StageRef
    branch: str
    head: str
    target: str
    title: str = ""
    body: str = ""


class Merged(msgspec.Struct, frozen=True):
    """The commit by which the target now holds the proposal."""

    commit: str


class Refused(msgspec.Struct, frozen=True):
    """A merge that did not happen. `kind` `moved`: look again; `hold`: a person must act, as `reason` says."""

    kind: Literal["moved", "hold"]
    reason: str


class Person(msgspec.Struct, frozen=True):
    """An account on the forge. `id` is what counts: names change. `level` is what it may do in the repository."""

    name: str
    id: int
    level: Literal["none", "read", "write", "admin"] = "none"
    bot: bool = False

    @property
    def trusted(self) -> bool:
        """Whether what it says is heard: a person who may write. A bot is none, whatever it may do."""
        return not self.bot and self.level in ("write", "admin")


class Labelled(msgspec.Struct, frozen=True):
    """The act of putting the label on an issue: its own `id`, who and when (ISO 8601, UTC)."""

    id: str
    by: Person
    at: str


class Issue(msgspec.Struct, frozen=True):
    """An issue as it is now.

    `labelled` is the last time that the label was put on it, None while it is off; `edited` when title or text were
    last changed, None for never (ISO 8601, UTC). Both are looked up only for an issue that may still be accepted.
    `stage` is what our label on it says.
    """

    number: int
    title: str
    body: str
    url: str
    open: bool
    labelled: Labelled | None
    edited: str | None = None
    looked_up: bool = True
    stage: str = ""


class Remark(msgspec.Struct, frozen=True):
    """Something that a person said or did about a task: a comment, a review with its lines, or closing its proposal.

    `text` is what people see of it, `lost` the kinds of things that they do not. `about` is the attempt at which it is
    aimed, `threads` the comments on lines that can be answered, `answered` whether we have. `place` is where a person
    finds it; `below_issue`: in the thread of the task's own issue.
    """

    id: str
    task: str
    at: str
    who: Person
    text: str
    kind: Literal["comment", "review", "closed"]
    about: StageRef | None = None
    threads: tuple[int, ...] = ()
    answered: bool = False
    place: str = ""
    below_issue: bool = False
    lost: tuple[str, ...] = ()


class Watched(msgspec.Struct, frozen=True):
    """A task whose issue and proposal are looked at. `known` are the remarks that need not be told again in full.

    `ref` and `branch` are those of its open stage, `accepted` says since when remarks count, `withdrawn` that its issue
    is to be looked at for a new acceptance, `done` that it is complete: only what was said lately is looked for.
    """

    task: str
    ref: StageRef | None = None
    branch: str = ""
    accepted: str = ""
    withdrawn: bool = False
    done: bool = False


class Asked(NamedTuple):
    """A question of a task's agent as its note shows it: `since` when it is asked, which names it (nothing: the note
    shows none), and `at`, by the forge's own clock, when the note had it at the latest."""

    since: str
    at: str


class Heard(msgspec.Struct, frozen=True):
    """What one look at the forge shows. `strangers` are proposals that look like ours and are not; `asked` is what the
    notes on issues ask, by task, for each that has a note."""

    issues: tuple[Issue, ...] = ()
    remarks: tuple[Remark, ...] = ()
    strangers: tuple[int, ...] = ()
    asked: dict[str, Asked] = {}


class Mark(msgspec.Struct, frozen=True):
    """One gate's verdict as it stands beside a proposal's head."""

    name: str
    passed: bool
    words: str


class Shown(msgspec.Struct, frozen=True):
    """How a task shall look on the forge.

    `note` is the one comment on its issue, `asks` since when the question that it shows is asked, which names that;
    `label` the stage that it stands at or `held`. `proposal` is to be opened with `marks` at its head; `replies` are
    answers to threads, by the remark's id; `gone` are branches whose proposals end here; `taken` are remarks that were
    just taken up. `accepted`: its issue has just become a task; `refused` takes the label off again; `done` closes the
    issue.
    """

    task: str
    note: str = ""
    asks: str = ""
    label: str = ""
    proposal: Proposal | None = None
    marks: tuple[Mark, ...] = ()
    reviewers: tuple[str, ...] = ()
    replies: tuple[tuple[Remark, str], ...] = ()
    gone: tuple[str, ...] = ()
    taken: tuple[Remark, ...] = ()
    accepted: bool = False
    refused: bool = False
    done: bool = False


class Forge(Protocol):
    """The few things that differ between plain Git and a server with pull requests.

    `talks`: whether people say things there, which are heard and answered.
    """

    name: str
    talks: bool

    def open(self, proposal: Proposal) -> str:
        """Make the proposal visible, once; returns where a person finds it (an address or a branch name)."""
        ...

    def closed(self, ref: StageRef, branch: str) -> bool:
        """Whether a person closed the proposal without merging it."""
        ...

    def merge(self, proposal: Proposal, message: str, by: Identity | None = None) -> Merged | Refused:
        """Merge exactly `proposal.head` into its target, or say why not. Never merges another head.

        `by` is the person who approved; None: the policy did.
        """
        ...

    def hear(self, watched: Sequence[Watched], only: frozenset[str] | None = None) -> Heard:
        """What people said and did, there and now; of the tasks `only`, or of all. Nothing is changed."""
        ...

    def show(self, shown: Shown) -> None:
        """Make the forge look like this. What looks so already is left alone, so that it may be called at any time."""
        ...

    def turn_away(self, number: int, why: str) -> None:
        """Say, once, that the proposal `number` is not ours and why that matters."""
        ...

    def converse(self, task: str, said: Sequence[tuple[str, str]]) -> None:
        """What was said of a task elsewhere, as (key, text): in its issue's thread, in this order, once for each key.

        Raises `UserError` when that takes none.
        """
        ...

    def settle(self) -> None:
        """Show what was held back, at the end of a run."""
        ...

    def read(self, subject: Subject, which: str, branch: str) -> Page:
        """What an agent working on `branch` asks for, as text. Nothing is changed. Raises `ToolError`."""
        ...

    def comment(self, task: str, key: str, text: str) -> str:
        """Say an agent's `text` below the task's issue, once for each `key`; returns where. Raises `ToolError`."""
        ...


class Hook(NamedTuple):
    """A webhook that has sent us something: of a `repository`, or an App's, which is an `integration`."""

    kind: str
    id: int


class Failed(NamedTuple):
    """A delivery of a webhook that was not answered well: the attempt's `id`, the delivery's own `guid`."""

    id: int
    guid: str


class Hosting(Protocol):
    """What a server with issues, pull requests and workflows does for the service. Plain Git has none.

    Everything raises `UserError` where the server refuses, or does not answer.
    """

    def open_issue(self, title: str, body: str) -> tuple[int, str]:
        """Open an issue, once while it is open: who asks for the same again gets it. Returns its number and address."""
        ...

    def offer(self, branch: str, target: str, title: str, body: str) -> str:
        """A pull request for a branch that is no stage's, opened once; returns its address."""
        ...

    def review_of(self, branch: str) -> str:
        """Where a person reviews the open pull request of a stage's branch; nothing while there is none."""
        ...

    def branch_of(self, number: int) -> str:
        """The branch of the pull request with that number; nothing where it is none of this repository."""
        ...

    def failed(self, hook: Hook) -> tuple[Failed, ...]:
        """The newest hundred deliveries that failed, the newest first."""
        ...

    def redeliver(self, hook: Hook, delivery: int) -> None:
        """Have a delivery sent again."""
        ...

    def start_workflow(self, branch: str) -> None:
        """Start a run of our workflow as `branch` has it."""
        ...
