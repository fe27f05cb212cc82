"""Where proposals live. `local` is plain Git; `github` is pull requests."""

from typing import Literal, Protocol

import msgspec

from runner.git import Identity
from runner.lifecycle import StageRef


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


class Forge(Protocol):
    """The few things that differ between plain Git and a server with pull requests."""

    name: str

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
