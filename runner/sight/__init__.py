"""Looking at tasks by few processes: `runner.progress` says where each stands, this remembers what cannot change."""

from collections import OrderedDict
from typing import TypeVar

import msgspec

from runner.commands import Command
from runner.errors import UserError
from runner.progress import Afresh, Kept, change
from runner.record import Entry, parse_record, parse_updates
from runner.sight.lineage import Lineage
from runner.sight.listing import UPDATES, Listing
from runner.sight.pipes import Pipes
from runner.state import Change, TaskState
from runner.task import Task

REMEMBERED = 512  # branches and histories, each

T = TypeVar("T")


class Sight:
    """`runner.progress.Eyes` over pipes and listings. `ground` is the listing of the commit `base`.

    `acting` also sees what only matters to whoever acts; it shares the memory of the one it is `like`. `lineage` is
    that of the branches which are looked at, where many are.
    """

    def __init__(
        self,
        pipes: Pipes,
        acting: Afresh | None = None,
        like: "Sight | None" = None,
        lineage: Lineage | None = None,
    ) -> None:
        self.pipes = pipes
        self.acting = acting
        self.lineage = lineage
        self.base: str = like.base if like else ""
        self.ground: Listing = like.ground if like else Listing()
        self._over: OrderedDict[str, Listing] = like._over if like else OrderedDict()
        self._said: OrderedDict[str, tuple[Command, ...]] = like._said if like else OrderedDict()

    def stand_on(self, base: str) -> list[str]:
        """Bring the ground to the commit `base`; returns the paths that differ."""
        if base == self.base:
            return []
        changes = self.pipes.difference(self.pipes.tree(self.base), self.pipes.tree(base))
        self.ground.apply(changes)
        self.base = base
        self._over.clear()
        return [change.path for change in changes]

    def listing(self, rev: str) -> Listing:
        """What lies below `tasks/` at a commit."""
        if rev == self.base:
            return self.ground
        found = self._over.get(rev)
        if found is None:
            found = Listing(self.ground)
            found.apply(self.pipes.difference(self.pipes.tree(self.base), self.pipes.tree(rev)))
            _remember(self._over, rev, found)
        return found

    def kept(self, rev: str, task: str) -> Kept:
        """A task's record and updates at a commit. Raises `UserError` for a record that cannot be read."""
        listing = self.listing(rev)
        path = listing.record(task)
        record = listing.get(path) if path else None
        if path is None or record is None:
            return Kept()
        folder = path.rpartition("/")[0]
        updates = listing.get(f"{folder}/{UPDATES}")
        said = parse_updates(self.pipes.blob(updates.blob), f"{folder}/{UPDATES}") if updates else ()
        return Kept(parse_record(self.pipes.blob(record.blob), path), said, folder)

    def said(self, commit: str | None) -> tuple[Command, ...]:
        """The commands at a ref's commit, oldest first, and nothing else that may be there."""
        if commit is None:
            return ()
        new, at, before = [], commit, None
        while at and (before := self._said.get(at)) is None:
            found = self.pipes.commit(at)
            if found is None:
                break
            new.append(found.message)
            at = found.parents[0] if found.parents else ""
        commands = (before or ()) + tuple(_commands(reversed(new)))
        _remember(self._said, commit, commands)
        return commands

    def holds(self, new: str, old: str) -> bool:
        """Whether the commit `new` has `old` in its history."""
        known = self.lineage.holds(new, old) if self.lineage else None
        return self.pipes.is_ancestor(old, new) if known is None else known

    def unmoved(self, branch: str, head: str) -> float:
        """The index says what Git says, and for how long this host has seen a branch is not in Git."""
        return self.acting.unmoved(branch, head) if self.acting else 0.0

    def change(self, head: str, entry: Entry, target: str, state: TaskState) -> Change | None:
        """What a merge would do matters to whoever merges."""
        return change(head, entry, target, state, self.pipes.changed, self.holds) if self.acting else None

    def added(self, base: str, work: str) -> tuple[Task, ...]:
        """The tasks whose files a task branch has and its base has not."""
        assert base == self.base  # whose listing the others are laid over
        return self.listing(work).new_tasks(self.pipes)


def _remember(memory: "OrderedDict[str, T]", key: str, value: T) -> None:
    memory[key] = value
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)


def _commands(texts: "reversed[str]") -> list[Command]:
    found = []
    for text in texts:
        try:
            found.append(msgspec.json.decode(text, type=Command))
        except msgspec.DecodeError:
            continue  # as `runner.commands.read` passes it over
    return found


def unreadable(error: UserError) -> str:
    """The hold of a task whose record cannot be read."""
    return f"unreadable record: {error.what}"
