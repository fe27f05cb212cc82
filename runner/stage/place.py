"""Where one run of a stage keeps its things on this host, and what a run that was interrupted finds there again.

An interrupted command leaves nothing of itself: it runs again on what was there before it.
"""

from pathlib import Path
from typing import NamedTuple

import msgspec

from runner import git, workspace
from runner.claims import Lost
from runner.claims.lease import TRAJECTORY, Lease, trajectory_name, with_theirs
from runner.errors import ToolError
from runner.loop.trajectory import Entry as Turn
from runner.loop.trajectory import Ran
from runner.stage import hooks, outgoing, publish
from runner.workspace import Workspace


class Mark(msgspec.Struct, frozen=True):
    """For which `claim` the workspace was laid out, of which `head`, and how long the trajectory was (`offset`, bytes).

    `notes` counts those of the agent that were pushed under the claim. `pending` is the base commit whose conflicts
    were laid out with it, `met` what people had changed meanwhile. `opened`: the conversation was begun under this
    claim, so that its prompt says what the agent was to be told. `kept` is the workspace as a tree, made on `head`,
    where that may not be pushed as it is (a secret is in it): the branch has less. `at_rest`: no run has touched the
    workspace since, and it holds what no commit has.
    """

    claim: str
    head: str
    offset: int
    notes: int = 0
    pending: str | None = None
    conflicts: tuple[str, ...] = ()
    met: tuple[str, ...] = ()
    opened: bool = False
    kept: str | None = None
    at_rest: bool = False


class Place(NamedTuple):
    """The workspace and the trajectory of a lease."""

    space: Workspace
    trajectory: Path

    @property
    def path(self) -> Path:
        """Where the mark lies."""
        return self.trajectory.with_name("laid-out.json")

    def mark(self, claim: str | None = None) -> Mark | None:
        """The mark, if there is one (of `claim`)."""
        try:
            found = msgspec.json.decode(self.path.read_bytes(), type=Mark)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return found if claim in (None, found.claim) else None


def place_of(lease: Lease) -> Place:
    """Where a lease has its workspace and its trajectory."""
    host = lease.host
    space = workspace.at(host.state / "workspaces", lease.agent.name, lease.task.id, lease.task.folder)
    return Place(space, host.state / trajectory_name(lease.ref) / TRAJECTORY)


def remember(lease: Lease, place: Place, *, ended: bool = False, laid_out: str | None = None) -> None:
    """Mark that the workspace, the branch on the hub and the trajectory say the same: call it when all is pushed.

    What may not be pushed is marked as well, so that no work is lost with it. `ended`: the run is over. `laid_out` is
    the tree that the workspace has been given just now: that of the branch is on the branch.
    """
    before = place.mark(lease.entry.claim)
    as_branch = laid_out is not None and laid_out == git.tree_of(lease.host.repo, lease.head)
    carried = as_branch or _is_carried(lease, place.space)
    mark = Mark(
        claim=lease.entry.claim,
        head=lease.head,
        offset=place.trajectory.stat().st_size,
        notes=lease.own_notes(),
        pending=lease.pending,
        conflicts=lease.conflicts,
        met=lease.met,
        opened=before is not None and before.opened,
        kept=None if carried else _kept(lease, place),
        at_rest=ended and not carried,
    )
    _write(place, mark)


def _is_carried(lease: Lease, space: Workspace) -> bool:
    """Whether a push takes all that is in the workspace."""
    try:
        outgoing.collect(lease, space)
    except ToolError:
        return False
    return True


def _kept(lease: Lease, place: Place) -> str | None:
    """The workspace's tree, which the branch cannot have; the last one that there was where it is no tree now."""
    try:
        return workspace.collect(place.space, lease.host.repo)
    except ToolError:
        before = place.mark()
        return _snapshot(before, _since(place, before)) if before and _is_at(lease, before) else None


def _snapshot(mark: Mark, turns: list[Ran]) -> str | None:
    """The workspace after the last of these turns that changed it, as far as it is known."""
    return next((ran.snapshot for ran in reversed(turns) if ran.snapshot), mark.kept)


def opens(lease: Lease, place: Place) -> None:
    """Mark that the conversation begins under the present claim."""
    mark = place.mark(lease.entry.claim)
    assert mark is not None  # made when the workspace was laid out
    _write(place, msgspec.structs.replace(mark, opened=True))


def _write(place: Place, mark: Mark) -> None:
    scratch = place.path.with_suffix(".tmp")
    scratch.write_bytes(msgspec.json.encode(mark))
    scratch.replace(place.path)


def bring_trajectory(lease: Lease, place: Place) -> None:
    """Take up the pushed trajectory where this host has none, or has one that is not its continuation."""
    pushed = git.read(lease.host.repo, lease.trajectory, TRAJECTORY) if lease.trajectory else None
    here = place.trajectory.read_bytes() if place.trajectory.exists() else b""
    if not here.startswith(pushed or b""):
        place.path.parent.mkdir(parents=True, exist_ok=True)
        place.path.unlink(missing_ok=True)  # what was laid out here is of another history
        place.trajectory.write_bytes(pushed or b"")


def lay_out(lease: Lease, place: Place) -> Lost | None:
    """The workspace as the branch has it, with what steps that no push has carried yet left there.

    Where the branch has moved since, those are pushed at once: what is found again is lost by no second crash.
    """
    mark = place.mark()
    turns = _since(place, mark) if mark else []
    ours = mark is not None and mark.claim == lease.entry.claim
    if mark is not None and ours:
        lease.pending, lease.conflicts, lease.met = mark.pending, mark.conflicts, mark.met
        hooks.recall(lease, turns, mark.notes)
    if mark is not None and _as_left(lease, place, mark):
        publish.stay(lease, place.space)
        remember(lease, place)
        return None
    snapshot = _snapshot(mark, turns) if mark else None
    if mark is not None and (snapshot or ours):
        tree = _on_branch(lease, mark, snapshot or _start(lease, mark.head))
    else:
        tree = _sent(lease, place.space) or _start(lease, lease.head)
    publish.lay_out(lease, place.space, tree)
    if mark is not None and ours and mark.head == lease.head:
        return None
    lost = publish.checkpoint(lease, place.space, place.trajectory.read_bytes()) if turns else None
    if lost is None:
        remember(lease, place, laid_out=tree)
    return lost


def _as_left(lease: Lease, place: Place, mark: Mark) -> bool:
    """Whether the workspace stays as the last run left it: it has more than any commit, and nobody has pushed."""
    if not mark.at_rest or mark.offset != place.trajectory.stat().st_size or not place.space.src.is_dir():
        return False
    return (lease.pending is None or mark.claim == lease.entry.claim) and _is_at(lease, mark)


def _is_at(lease: Lease, mark: Mark) -> bool:
    """Whether the branch has the same work as at the mark: all that came since is in the record."""
    changed = git.changed(lease.host.repo, mark.head, lease.head)
    return set(changed) <= set(lease.history.files(lease.task.folder))


def _sent(lease: Lease, space: Workspace) -> str | None:
    """The tree with what people sent to the workspace before there was a claim, if they have."""
    head = workspace.awaited(space)
    if head is None or lease.pending is not None:
        return None
    try:
        tree = workspace.collect(space, lease.host.repo)
    except ToolError as error:
        lease.host.say(f"{lease.task.id}  what was sent to the workspace is left out: {error}")
        return None
    made = git.commit(lease.host.repo, tree, (head,), "What was sent\n")
    return with_theirs(lease.host.repo, made, lease.head)


def _since(place: Place, mark: Mark) -> list[Ran]:
    """The calls that have run since the mark was made."""
    decoder = msgspec.json.Decoder(Turn)
    lines = place.trajectory.read_bytes()[mark.offset :].splitlines()
    return [turn for line in lines if isinstance(turn := decoder.decode(line), Ran)]


def _start(lease: Lease, head: str) -> str:
    """A head's tree; where base conflicts with it, with conflict markers: they are the agent's first work."""
    if lease.pending is None:
        return git.tree_of(lease.host.repo, head)
    return git.merge(lease.host.repo, head, lease.pending).tree


def _on_branch(lease: Lease, mark: Mark, tree: str) -> str:
    """`tree`, made on the mark's head, with what has come to the branch since; `met` names what people changed."""
    repo = lease.host.repo
    if lease.head == mark.head:
        return tree
    made = git.commit(repo, tree, (mark.head,), "The workspace\n")
    merged = with_theirs(repo, made, lease.head)
    changed = set(git.changed(repo, tree, merged)) - set(lease.history.files(lease.task.folder))
    lease.met = tuple(sorted({*lease.met, *changed}))
    return merged
