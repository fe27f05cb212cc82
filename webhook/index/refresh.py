"""One refresh, inside of its transaction: what has changed since the last one, and the rows that follow from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.agents import Settings
from runner.progress import Refs
from runner.sight.owners import owner
from webhook import store, talk_rows
from webhook.index import crew, families, landings, line, relatives, writes
from webhook.index.families import Ground, Seen, on_disk
from webhook.rows import Names, task_rows
from webhook.telling import Event, tell

if TYPE_CHECKING:
    from webhook.index import Index

BASE = "base"


def relevant(refs: Refs) -> dict[str, str]:
    """The refs of which rows are derived. Of trajectories it only matters that they are there."""
    found = {f"heads/{branch}": oid for branch, oid in refs.branches.items() if owner(f"heads/{branch}")}
    found |= {name: oid for name, oid in refs.ours.items() if name.startswith(("commands/", talk_rows.REFS))}
    found |= {name: "there" for name in refs.ours if name.startswith("trajectories/")}
    return found | {BASE: refs.base}


class Refresh:
    """What leads from `before`, the refs that the rows were derived from (none: from nothing), to those of `now`.

    `also` are tasks that are looked at whether their refs have changed or not.
    """

    def __init__(self, index: Index, refs: Refs, anew: bool, also: frozenset[str]) -> None:
        self.index, self.conn, self.sight, self.refs = index, index.conn, index.sight, refs
        self.workspaces = index.site.state / "workspaces"
        self.now = relevant(refs)
        stored = store.refs(self.conn)
        self.before = {} if anew else stored
        self.also = also
        self.quiet = not stored  # nobody has followed an index that did not exist
        self.all = not self.before

    def take(self) -> frozenset[str]:
        """Look at what has changed, and write what came of it; returns the tasks.

        Raises `UserError` where no agents.yaml can be read.
        """
        changed = {name for name in {*self.before, *self.now} if self.before.get(name) != self.now.get(name)}
        if not changed and not self.also:
            self._expire()
            return frozenset()
        slugs = self._touched(changed)
        settings = landings.versions(self.conn, self.index.pipes)
        wrote = self._tasks(self._ground(landings.in_force(settings)), slugs)
        if wrote or self.all or any(name.startswith("commands/agents/") for name in changed):
            self._agents(settings)
        else:
            self._expire()
        said = talk_rows.write(self.conn, self.index.pipes, self.now, changed)
        tell(self.conn, said, quiet=self.quiet)
        store.put_refs(self.conn, self.before, self.now)
        talked = {name.removeprefix(talk_rows.REFS) for name in changed if name.startswith(talk_rows.REFS)}
        return frozenset(slugs | talked)  # what is said of an issue's task belongs into its thread

    def _touched(self, changed: set[str]) -> set[str]:
        """The tasks that the change of these refs may say something about; base's line is read up to where it is."""
        slugs = {slug for name in changed if (slug := owner(name))} | self.also
        if BASE in changed:
            moved = line.follow(self.conn, self.sight, self.before.get(BASE), self.refs.base)
            slugs |= moved.tasks | relatives.going_into_base(self.conn)
            self.all |= moved.everything
        self.sight.stand_on(self.refs.base)
        if self.all:
            known = self.conn.execute("SELECT slug FROM tasks UNION SELECT slug FROM problems")
            slugs |= {slug for (slug,) in known} | self.sight.ground.ids()
            slugs |= {slug for name in self.now if (slug := owner(name))}
        return slugs

    def _ground(self, settings: Settings) -> Ground:
        disk = on_disk(self.workspaces)
        return Ground(self.conn, self.index.site, self.sight, self.refs, settings, self.index.apart(self.refs), disk)

    # --- rows of tasks ---------------------------------------------------------------------------------------------

    def _tasks(self, ground: Ground, slugs: set[str]) -> bool:
        """Look at the tasks, and at those that their change concerns; write the rows. Whether any row has changed."""
        works = {name.removeprefix("heads/work/") for name in self.now if name.startswith("heads/work/")}
        seen = Seen({}, {})
        waiting = slugs = relatives.family(self.conn, works, slugs)
        while waiting:
            more = families.look(ground, waiting)
            seen.families.update(more.families)
            seen.problems.update(more.problems)
            found = set() if self.all else relatives.concerned(self.conn, seen, slugs)
            waiting = relatives.family(self.conn, works, found) - slugs if found else set()
            slugs = slugs | waiting
        made = families.with_waits(self.conn, seen.families, slugs)
        self.index.pipes.make_ready(())
        names, folder, host = self._names(ground), str(self.workspaces), ground.site.id
        rows = [task_rows(names, ground.settings, folder, host, family) for family in made.values()]
        events: list[Event] = []
        wrote = writes.write_tasks(self.conn, names, rows, slugs - made.keys(), events)
        writes.write_problems(self.conn, slugs, seen.problems)
        tell(self.conn, events, quiet=self.quiet)
        return wrote

    def _names(self, ground: Ground) -> Names:
        """The makers of ids; a repository that has another id now is another one: its rows go first."""
        repository = ground.settings.repository
        known = store.get(self.conn, "repository")
        if known not in (None, repository):
            store.clear(self.conn)
            talk_rows.clear(self.conn)
        if known != repository:
            store.put(self.conn, "repository", repository)
        return Names(repository)

    # --- rows of agents --------------------------------------------------------------------------------------------

    def _agents(self, settings: list[landings.Version]) -> None:
        now = settings[-1].settings
        gone = crew.away(self.sight, self.refs.ours)
        held, expired = crew.claims(self.conn, self.index.site, self.refs, now)
        rows = crew.rows(self.conn, Names(now.repository), str(self.workspaces), settings, gone, held)
        writes.write_agents(self.conn, rows)
        if store.get(self.conn, "expired") != _words(expired):
            store.put(self.conn, "expired", _words(expired))

    def _expire(self) -> None:
        """Nothing has changed but the time: an agent whose lease has expired is busy no more."""
        settings = landings.versions(self.conn, self.index.pipes)
        if settings:
            _, expired = crew.claims(self.conn, self.index.site, self.refs, settings[-1].settings)
            if store.get(self.conn, "expired") != _words(expired):
                self._agents(settings)


def _words(claims: list[crew.Claimed]) -> str:
    return " ".join(claim.branch for claim in claims)
