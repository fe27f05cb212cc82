"""Who has a stage: claim, renew, release. Compare-and-swap on the hub's refs, and nothing else.

A claim is a unique commit that creates the stage branch: with the same commit for all racers Git answers "up to date"
and several believe they won (docs/design.md, rule 2).
"""

import random
import time
from typing import NamedTuple

from runner import git
from runner.errors import UserError
from runner.lifecycle import StageRef, stage_branch

TRIES = 8
PAUSE = 0.4  # seconds at most between two tries: those who got in each other's way go apart by chance


class Ground(NamedTuple):
    """What a claim stands on: a commit (`head`) with its `tree`, and the base commit last merged into it.

    `conflicts` are the paths that kept base's present head (`pending`) out.
    """

    head: tuple[str, ...]
    tree: str
    base: str
    conflicts: tuple[str, ...] = ()
    pending: str | None = None


class Won(NamedTuple):
    """The branch is ours, at `commit`."""

    commit: str


class Lost(NamedTuple):
    """Somebody else's commit is there, or the ground has moved: look again."""

    reason: str


def ref(branch: str) -> str:
    """The full name of a branch."""
    return f"refs/heads/{branch}"


def ground(repo: git.Repo, head: str, base: str, last_base: str | None) -> Ground:
    """`head` with base merged in.

    Where `last_base`, the base commit that an entry names, is no ancestor of `head`, somebody squashed: it is added as
    a parent with the tree unchanged, so that the merge knows what is already there. A base that conflicts stays out.
    """
    if last_base is not None and not git.is_ancestor(repo, last_base, head):
        head = git.commit(repo, git.tree_of(repo, head), [head, last_base], "Take a squashed merge into account\n")
    if git.is_ancestor(repo, base, head):
        return Ground((head,), git.tree_of(repo, head), base)
    merged = git.merge(repo, head, base)
    if merged.conflicts:
        kept = last_base or git.git(repo, "merge-base", head, base)
        return Ground((head,), git.tree_of(repo, head), kept, merged.conflicts, base)
    return Ground((head, base), merged.tree, base)


def create(repo: git.Repo, url: str, stage: StageRef, commit: str, *also: git.Push) -> Won | Lost:
    """Push a claim so that it creates its branch, or learn that it did not.

    `also` are refs created by the same atomic push: `work/<id>` at the first claim, the attempt's trajectory. Won is
    the flag `*`; after any other answer the hub is asked what is there. Raises `UserError` when the hub keeps
    refusing, `git.Unreachable` when it cannot be asked.
    """
    target, said = ref(stage_branch(*stage)), ""
    for number in range(TRIES):
        _pause(number)
        answer = git.push(repo, url, git.Push(target, commit, ""), *also)
        if answer.flags.get(target) == "*":
            return Won(commit)
        there = look(repo, url, target, *(move.ref for move in also))
        if there.get(target) == commit:
            return Won(commit)
        if target in there:
            return Lost(f"{stage_branch(*stage)} was claimed first")
        taken = [move.ref for move in also if move.ref in there]
        if taken:
            return Lost(f"{', '.join(taken)} has come to be: look again")
        said = answer.refusal()
    raise UserError(f"the hub does not take the branch {stage_branch(*stage)}: {said}", _remedy(said))


def advance(repo: git.Repo, url: str, branch: str, new: str, old: str, *also: git.Push) -> Won | Lost:
    """Move a branch that we hold from `old` to `new`, its descendant, together with `also`.

    A former owner is refused here: that is the fence. Raises `UserError` when the hub refuses while the branch is
    still at `old`, `git.Unreachable` when it cannot be asked.
    """
    target, said = ref(branch), ""
    for number in range(TRIES):
        _pause(number)
        answer = git.push(repo, url, git.Push(target, new, old), *also)
        if answer.flags.get(target) in (" ", "="):
            return Won(new)
        there = look(repo, url, target).get(target)
        if there == new:
            return Won(new)
        if there is None:
            return Lost(f"{branch} is no longer there: somebody deleted it")
        if there != old:
            return Lost(f"{branch} is no longer ours: it is at {there}")
        said = answer.refusal()
    raise UserError(f"the hub does not take {branch}: {said}", _remedy(said))


def release(repo: git.Repo, url: str, branch: str, commit: str) -> None:
    """Delete a branch while it is at `commit`, and only then: a claim for a stage already done, reverted work.

    Raises `UserError` when the hub keeps refusing, `git.Unreachable` when it cannot be asked.
    """
    target, said = ref(branch), ""
    for number in range(TRIES):
        _pause(number)
        answer = git.push(repo, url, git.Push(target, "", commit))
        if answer.flags.get(target) == "-" or look(repo, url, target).get(target) != commit:
            return
        said = answer.refusal()
    raise UserError(f"the hub does not let {branch} be deleted: {said}", _remedy(said))


def look(repo: git.Repo, url: str, *refs: str) -> dict[str, str]:
    """What refs of the hub are now. Raises `git.Unreachable` when it gives no answer however often it is asked.

    One that is silent is asked once: those who own a stage have a lease that runs.
    """
    for number in range(TRIES - 1):
        _pause(number)
        try:
            return git.remote_refs(repo, url, *refs)
        except git.Silent:
            raise
        except git.Unreachable:
            continue
    return git.remote_refs(repo, url, *refs)


def _pause(number: int) -> None:
    """Wait before every try but the first, longer each time."""
    if number:
        time.sleep(random.uniform(0, min(PAUSE, 0.05 * 2**number)))


def _remedy(said: str) -> str:
    if "checked out" in said or "denyCurrentBranch" in said:
        return "the branch is checked out in that repository: check out another one there"
    return "look at the remote's permissions and hooks for work/** and agents/**"
