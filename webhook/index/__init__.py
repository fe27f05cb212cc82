"""The mirror: an SQLite file that says what Git says, for reading. Deleting it loses nothing.

`refresh` brings it forward to the hub's refs: from nothing, or from what it was derived from last, by the same code.
All of a refresh is one transaction that also notes the refs it was derived from: a process that dies in the middle
has changed nothing, and of two services on one file the second goes on from where the first came to.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from runner.agents import Settings
from runner.host import Site
from runner.observe import mirrored
from runner.progress import Afresh, Refs
from runner.sight import Sight
from runner.sight.owners import by_task
from runner.sight.pipes import Pipes
from runner.state import TaskState
from webhook import store
from webhook.index import comparing, landings, standing
from webhook.index.refresh import BASE, Refresh
from webhook.rows import COLUMNS

__all__ = ["BASE", "Index", "Refreshed"]


class Refreshed(NamedTuple):
    """What a refresh came to: the tasks that it looked at again, and the number of the newest event."""

    tasks: frozenset[str]
    event: int


class Index:
    """The index of one repository in the file `path`. Used by one thread at a time; readers connect by themselves."""

    def __init__(self, path: Path, site: Site) -> None:
        self.path = path
        self.site = site
        self.pipes = Pipes(site.repo)
        self.sight = Sight(self.pipes)
        self.conn = store.connect(path)
        self._written = -1
        self._apart: tuple[Refs, dict[str, Refs]] | None = None

    def close(self) -> None:
        """Let go of the file and of Git."""
        self.conn.close()
        self.pipes.close()

    # --- writing ---------------------------------------------------------------------------------------------------

    def refresh(self, refs: Refs) -> Refreshed:
        """Bring the index to `refs`, which have been fetched. Raises `UserError` where agents.yaml cannot be read."""
        return self._write(refs, anew=False)

    def rebuild(self, refs: Refs) -> Refreshed:
        """Derive everything again, whatever is there; what is as it was is left alone."""
        return self._write(refs, anew=True)

    def look_again(self, refs: Refs, tasks: Iterable[str]) -> Refreshed:
        """Derive these tasks again, also where their refs are as they were: a fact of this host has changed."""
        return self._write(refs, anew=False, also=frozenset(tasks))

    def verify(self, refs: Refs) -> list[str]:
        """What differs, row for row, from an index made from nothing; empty where all is as it should be."""
        self.refresh(refs)
        other = Index(Path(":memory:"), self.site)
        try:
            other.rebuild(self._stored_refs(refs.base_name))
            return list(comparing.differences(self.conn, other.conn))
        finally:
            other.close()

    def _write(self, refs: Refs, *, anew: bool, also: frozenset[str] = frozenset()) -> Refreshed:
        with store.writing(self.conn):
            if store.counter(self.conn) != self._written:
                refs = self._newest(refs)  # another process wrote: never go back behind what it had seen
            before = self.conn.total_changes
            touched = Refresh(self, refs, anew, also).take()
            if self.conn.total_changes != before or self._written < 0:  # else what readers keep is still true
                self._written = store.count(self.conn)
            return Refreshed(touched, store.newest_event(self.conn))

    def _newest(self, refs: Refs) -> Refs:
        if str(self.path) == ":memory:":
            return refs
        branches, ours = mirrored(self.site.repo)
        return Refs(branches.get(refs.base_name, refs.base), refs.base_name, branches, ours)

    def _stored_refs(self, base_name: str) -> Refs:
        stored = store.refs(self.conn)
        branches = {name.removeprefix("heads/"): oid for name, oid in stored.items() if name.startswith("heads/")}
        ours = {name: oid for name, oid in stored.items() if name != BASE and not name.startswith("heads/")}
        return Refs(stored[BASE], base_name, branches, ours)

    # --- reading what people name (webhook.index.standing has what work is made of) --------------------------------

    def apart(self, refs: Refs) -> dict[str, Refs]:
        """The refs, apart for each task; made once for each look at the hub."""
        if self._apart is None or self._apart[0] is not refs:
            self._apart = refs, by_task(refs)
        return self._apart[1]

    def settings(self) -> Settings:
        """The settings that are in force: the last ones on base that can be read."""
        return landings.in_force(landings.versions(self.conn, self.pipes))

    def look(self, refs: Refs, word: str) -> TaskState | None:
        """Where the task with that slug or id stands."""
        row = self.conn.execute("SELECT slug FROM tasks WHERE slug = ? OR id = ?", (word, word.lower())).fetchone()
        return standing.states(self, refs, [row[0]], Afresh(self.site)).get(row[0]) if row else None

    def names(self, refs: Refs, slug: str) -> bool:
        """Whether base has a YAML file of that name, or anything else is a task with that id."""
        self.sight.stand_on(refs.base)
        row = self.conn.execute("SELECT 1 FROM tasks WHERE slug = ?", (slug,)).fetchone()
        return row is not None or bool(self.sight.ground.named(slug))

    def agent(self, word: str) -> str | None:
        """The name of the agent with that name or id."""
        row = self.conn.execute("SELECT name FROM agents WHERE name = ? OR id = ?", (word, word.lower())).fetchone()
        return row[0] if row else None

    def workspace(self, id: str) -> bytes | None:
        """One workspace, as JSON."""
        columns = COLUMNS["agent_workspaces"]
        row = self.conn.execute(f"SELECT {', '.join(columns)} FROM agent_workspaces WHERE id = ?", (id,)).fetchone()
        return msgspec.json.encode(dict(zip(columns, row, strict=True))) if row else None
