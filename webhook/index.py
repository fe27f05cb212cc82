"""The mirror: an SQLite file that says what Git says, for reading. Deleting it loses nothing.

`refresh` brings it forward to the hub's refs: from nothing, or from what it was derived from last, by the same code.
All of a refresh is one transaction that also notes the refs it was derived from: a process that dies in the middle
has changed nothing, and of two services on one file the second goes on from where the first came to.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from runner import git
from runner.agents import Settings
from runner.backlog import Backlog
from runner.errors import UserError
from runner.host import Site
from runner.observe import HEADS, OURS, View
from runner.progress import Afresh, Refs
from runner.sight import Sight
from runner.sight.owners import by_task, owner
from runner.sight.pipes import Pipes
from runner.state import TaskState
from webhook import crew, families, landings, store, talk_rows
from webhook.families import Ground, Seen, on_disk
from webhook.rows import COLUMNS, Family, Names, TaskRows, task_rows
from webhook.store import Event

BASE = "base"


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
        self._parts: tuple[Refs, dict[str, Refs]] | None = None

    def close(self) -> None:
        """Let go of the file and of Git."""
        self.conn.close()
        self.pipes.close()

    @property
    def workspaces(self) -> Path:
        """Where this host's workspaces lie."""
        return self.site.state / "workspaces"

    def refresh(self, refs: Refs) -> Refreshed:
        """Bring the index to `refs`, which have been fetched. Raises `UserError` where agents.yaml cannot be read."""
        return self._write(refs, anew=False)

    def rebuild(self, refs: Refs) -> Refreshed:
        """Derive everything again, whatever is there; what is as it was is left alone."""
        return self._write(refs, anew=True)

    def look_again(self, refs: Refs, tasks: Iterable[str]) -> Refreshed:
        """Derive these tasks again, also where their refs are as they were: a fact of this host has changed."""
        return self._write(refs, anew=False, also=frozenset(tasks))

    def settings(self) -> Settings:
        """The settings that are in force: the last ones on base that can be read."""
        found = landings.versions(self.conn, self.pipes)
        if not found:
            raise UserError("agents.yaml on the base branch cannot be read", "pullwright task list says what is wrong")
        return found[-1].settings

    def look(self, refs: Refs, word: str) -> TaskState | None:
        """Where the task with that slug or id stands."""
        row = self.conn.execute("SELECT slug FROM tasks WHERE slug = ? OR id = ?", (word, word.lower())).fetchone()
        return self.state(refs, row[0], Afresh(self.site)) if row else None

    def agent(self, word: str) -> str | None:
        """The name of the agent with that name or id."""
        row = self.conn.execute("SELECT name FROM agents WHERE name = ? OR id = ?", (word, word.lower())).fetchone()
        return row[0] if row else None

    def workspace(self, id: str) -> bytes | None:
        """One workspace, as JSON."""
        columns = COLUMNS["agent_workspaces"]
        row = self.conn.execute(f"SELECT {', '.join(columns)} FROM agent_workspaces WHERE id = ?", (id,)).fetchone()
        return msgspec.json.encode(dict(zip(columns, row, strict=True))) if row else None

    def candidates(self, refs: Refs) -> tuple[Settings, frozenset[str], list[str]]:
        """The settings, who was sent away, and the tasks that are not known to be complete or held, in work order."""
        settings = self.settings()
        query = "SELECT slug FROM tasks WHERE completed_at IS NULL AND hold IS NULL ORDER BY " + store.ORDER
        return settings, crew.away(self.sight, refs.ours), [slug for (slug,) in self.conn.execute(query)]

    def busy(self, refs: Refs) -> dict[str, int]:
        """How many claims each agent holds whose leases have not expired."""
        held, _ = crew.claims(self.conn, self.site, refs, self.settings())
        names = dict(self.conn.execute("SELECT id, name FROM agents"))
        return dict(Counter(names[claim.agent_id] for claim in held))

    def late(self, refs: Refs) -> frozenset[str]:
        """The tasks whose open stage has a lease that has expired."""
        _, expired = crew.claims(self.conn, self.site, refs, self.settings())
        return frozenset(claim.branch.split("/")[1] for claim in expired)

    def _apart(self, refs: Refs) -> dict[str, Refs]:
        """The refs, apart for each task; made once for each look."""
        if self._parts is None or self._parts[0] is not refs:
            self._parts = refs, by_task(refs)
        return self._parts[1]

    def state(self, refs: Refs, slug: str, eyes: Afresh) -> TaskState | None:
        """Where a task stands, with what only `eyes` can see of this host and of a proposal's change."""
        return self.states(refs, [slug], eyes).get(slug)

    def states(self, refs: Refs, slugs: Iterable[str], eyes: Afresh) -> dict[str, TaskState]:
        """The same for several, and for their parents and subtasks."""
        sight = Sight(self.pipes, eyes, self.sight)
        ground = Ground(self.conn, self.site, sight, refs, self.settings(), self._apart(refs), {})
        roots = set(slugs)
        query = "SELECT parent FROM tasks WHERE parent NOT NULL AND slug = ?"
        roots |= {parent for slug in slugs for (parent,) in self.conn.execute(query, (slug,))}
        found = families.with_waits(self.conn, families.look(ground, roots).families, roots)
        return {slug: family.state for slug, family in found.items()}

    def view(self, refs: Refs, only: frozenset[str] | None) -> View:
        """What `runner.observe.observe` shows, of the tasks `only`; else of those that are not complete for long."""
        if self.sight.base != refs.base:
            self.sight.stand_on(refs.base)
        since = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-30 days')"
        query = f"SELECT slug FROM tasks WHERE completed_at IS NULL OR completed_at > {since} ORDER BY {store.ORDER}"
        slugs = only if only is not None else [slug for (slug,) in self.conn.execute(query)]
        states = self.states(refs, slugs, Afresh(self.site))
        away, nothing = crew.away(self.sight, refs.ours), Backlog((), ())
        return View(refs, self.settings(), nothing, tuple(states.values()), away, self.busy(refs))

    def version(self, refs: Refs, slug: str) -> str:
        """A word that changes when anything about a task does."""
        own = self._apart(refs).get(slug)
        row = self.conn.execute("SELECT * FROM tasks WHERE slug = ?", (slug,)).fetchone()
        return repr((row, sorted(own.branches.items()), sorted(own.ours.items())) if own else row)

    def verify(self, refs: Refs) -> list[str]:
        """What differs, row for row, from an index made from nothing; empty where all is as it should be."""
        self.refresh(refs)
        other = Index(Path(":memory:"), self.site)
        try:
            other.rebuild(self._stored_refs(refs.base_name))
            return list(store.differences(self.conn, other.conn))
        finally:
            other.close()

    def _stored_refs(self, base_name: str) -> Refs:
        stored = store.refs(self.conn)
        branches = {name.removeprefix("heads/"): oid for name, oid in stored.items() if name.startswith("heads/")}
        ours = {name: oid for name, oid in stored.items() if name != BASE and not name.startswith("heads/")}
        return Refs(stored[BASE], base_name, branches, ours)

    def _write(self, refs: Refs, *, anew: bool, also: frozenset[str] = frozenset()) -> Refreshed:
        with store.writing(self.conn):
            if store.counter(self.conn) != self._written:
                refs = self._newest(refs)  # another process wrote: never go back behind what it had seen
            before = self.conn.total_changes
            touched = _Turn(self, refs, anew, also).take()
            if self.conn.total_changes != before or self._written < 0:  # else what readers keep is still true
                self._written = store.count(self.conn)
            return Refreshed(touched, store.newest_event(self.conn))

    def _newest(self, refs: Refs) -> Refs:
        if str(self.path) == ":memory:":
            return refs
        branches = {name.removeprefix(HEADS): oid for name, oid in git.refs(self.site.repo, HEADS).items()}
        ours = {name.removeprefix(OURS): oid for name, oid in git.refs(self.site.repo, OURS).items()}
        return Refs(branches.get(refs.base_name, refs.base), refs.base_name, branches, ours)


def relevant(refs: Refs) -> dict[str, str]:
    """The refs of which rows are derived. Of trajectories it only matters that they are there."""
    found = {f"heads/{branch}": oid for branch, oid in refs.branches.items() if owner(f"heads/{branch}")}
    found |= {name: oid for name, oid in refs.ours.items() if name.startswith(("commands/", talk_rows.REFS))}
    found |= {name: "there" for name in refs.ours if name.startswith("trajectories/")}
    return found | {BASE: refs.base}


class _Turn:
    """One refresh, inside of its transaction."""

    def __init__(self, index: Index, refs: Refs, anew: bool, also: frozenset[str]) -> None:
        self.index, self.conn, self.sight, self.refs = index, index.conn, index.sight, refs
        self.now = relevant(refs)
        self.before = {} if anew else store.refs(self.conn)
        self.also = also
        self.quiet = not (self.before or store.refs(self.conn))  # nobody has followed an index that did not exist
        self.all = not self.before

    def take(self) -> frozenset[str]:
        """Look at what has changed, and write what came of it; returns the tasks."""
        changed = {name for name in {*self.before, *self.now} if self.before.get(name) != self.now.get(name)}
        if not changed and not self.also:
            self._stay()
            self._expire()
            return frozenset()
        slugs = self._move_base() if BASE in changed else self._stay()
        slugs |= {slug for name in changed if (slug := owner(name))} | self.also
        settings = landings.versions(self.conn, self.index.pipes)
        if not settings:
            raise UserError("agents.yaml on the base branch cannot be read", "pullwright task list says what is wrong")
        ground = self._ground(settings[-1])
        wrote = self._tasks(ground, slugs)
        everything = self.all or any(name.startswith("commands/agents/") for name in changed)
        if wrote or everything:
            self._agents(settings)
        else:
            self._expire()
        said = talk_rows.write(self.conn, self.index.pipes, self.now, changed)
        store.tell(self.conn, said, quiet=self.quiet)
        store.put_refs(self.conn, self.before, self.now)
        talked = {name.removeprefix(talk_rows.REFS) for name in changed if name.startswith(talk_rows.REFS)}
        return frozenset(slugs | talked)  # what is said of an issue's task belongs into its thread

    def _ground(self, version: landings.Version) -> Ground:
        disk = on_disk(self.index.workspaces)
        return Ground(self.conn, self.index.site, self.sight, self.refs, version.settings, by_task(self.refs), disk)

    def _stay(self) -> set[str]:
        if self.sight.base != self.refs.base:
            self.sight.stand_on(self.refs.base)
        return set()

    def _move_base(self) -> set[str]:
        """Read base's line up to where it is now; returns the tasks that it may have changed."""
        before = self.before.get(BASE)
        line = self.index.pipes.first_parents(self.refs.base, before) if before else None
        if before is None or line is None:  # from nothing, or base was rewritten
            return self._from_nothing()
        if self.sight.base != before:
            self.sight.stand_on(before)
        depth = int(store.get(self.conn, "depth") or 0)
        told = landings.told(self.index.pipes, line, depth, self.index.pipes.tree(before))
        landings.store(self.conn, told)
        store.put(self.conn, "depth", str(depth + len(line)))
        if told.settings:
            self.all = True
        touched = {slug for change in self._old_and_new() for slug in change}
        return touched | self._going_into_base() | (self._everything() if self.all else set())

    def _old_and_new(self) -> list[set[str]]:
        """The ids that each changed path concerns, by what lay there before and by what lies there now."""
        pipes, ground = self.index.pipes, self.sight.ground
        paths = [c.path for c in pipes.difference(pipes.tree(self.sight.base), pipes.tree(self.refs.base))]
        old = [ground.touched(path) for path in paths]
        self.sight.stand_on(self.refs.base)
        return old + [ground.touched(path) for path in paths]

    def _from_nothing(self) -> set[str]:
        self.all = True
        for table in ("births", "landings", "settings"):
            self.conn.execute(f"DELETE FROM {table}")
        line = self.index.pipes.first_parents(self.refs.base) or []
        landings.store(self.conn, landings.told(self.index.pipes, line, 0, self.index.pipes.empty_tree))
        store.put(self.conn, "depth", str(len(line)))
        self.sight.stand_on(self.refs.base)
        self.index.pipes.make_ready(self.sight.ground.contents())
        return self._everything()

    def _everything(self) -> set[str]:
        known = {slug for (slug,) in self.conn.execute("SELECT slug FROM tasks UNION SELECT slug FROM problems")}
        return known | self.sight.ground.ids() | {slug for name in self.now if (slug := owner(name))}

    def _going_into_base(self) -> set[str]:
        """Tasks whose open stage ends in base: whether it is still open depends on base's head."""
        query = (
            "SELECT slug FROM tasks JOIN stages ON task_id = id"
            " WHERE stages.open = 1 AND stages.stage = json_extract(tasks.stages, '$[#-1]')"
        )
        return {slug for (slug,) in self.conn.execute(query)}

    def _tasks(self, ground: Ground, slugs: set[str]) -> bool:
        """Look at the tasks, and at those that their change concerns; write the rows. Whether any row has changed."""
        seen = Seen({}, {})
        waiting = slugs = self._with_relatives(slugs)
        while waiting:
            more = families.look(ground, waiting)
            seen.families.update(more.families)
            seen.problems.update(more.problems)
            waiting = self._concerned(seen, slugs | waiting) - slugs - waiting
            slugs |= waiting
        made = families.with_waits(self.conn, seen.families, slugs)
        self.index.pipes.make_ready(())
        names = self._names(ground)
        rows = [self._rows(names, ground, family) for family in made.values()]
        gone = slugs - made.keys()
        events: list[Event] = []
        wrote = store.write_tasks(self.conn, names, rows, gone, events)
        store.write_problems(self.conn, slugs, seen.problems)
        store.tell(self.conn, events, quiet=self.quiet)
        return wrote

    def _with_relatives(self, slugs: set[str]) -> set[str]:
        """The tasks with the parents that they may belong to, and the subtasks that those had."""
        parents = {name.removeprefix("heads/work/") for name in self.now if name.startswith("heads/work/")}
        parents |= {name for (name,) in self.conn.execute("SELECT DISTINCT parent FROM tasks WHERE parent NOT NULL")}
        found = slugs | {name for slug in slugs for name in _beginnings(slug) if name in parents}
        for parent in found & parents:
            found = found | {
                slug for (slug,) in self.conn.execute("SELECT slug FROM tasks WHERE parent = ?", (parent,))
            }
        return found

    def _concerned(self, seen: Seen, slugs: set[str]) -> set[str]:
        """The tasks that depend on one which has just come, gone, become complete, or is so no more."""
        found: set[str] = set()
        for slug in () if self.all else slugs:
            family = seen.families.get(slug)
            now = None if family is None else family.parent is None and family.state.current is None
            if now != store.stood(self.conn, slug):
                found |= store.dependents(self.conn, slug)
        return self._with_relatives(found) if found else found

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

    def _rows(self, names: Names, ground: Ground, family: Family) -> TaskRows:
        return task_rows(names, ground.settings, str(self.index.workspaces), ground.site.id, family)

    def _agents(self, settings: list[landings.Version]) -> None:
        now = settings[-1].settings
        gone = crew.away(self.sight, self.refs.ours)
        held, expired = crew.claims(self.conn, self.index.site, self.refs, now)
        rows = crew.rows(self.conn, Names(now.repository), str(self.index.workspaces), settings, gone, held)
        store.write_agents(self.conn, rows)
        self._note(expired)

    def _expire(self) -> None:
        """Nothing has changed but the time: an agent whose lease has expired is busy no more."""
        settings = landings.versions(self.conn, self.index.pipes)
        if settings:
            _, expired = crew.claims(self.conn, self.index.site, self.refs, settings[-1].settings)
            if store.get(self.conn, "expired") != _words(expired):
                self._agents(settings)

    def _note(self, expired: list[crew.Claimed]) -> None:
        if store.get(self.conn, "expired") != _words(expired):
            store.put(self.conn, "expired", _words(expired))


def _words(claims: list[crew.Claimed]) -> str:
    return " ".join(claim.branch for claim in claims)


def _beginnings(slug: str) -> list[str]:
    """The ids that a subtask's id may begin with: `a` and `a-b` of `a-b-c`."""
    return [slug[:at] for at, letter in enumerate(slug) if letter == "-"]
