"""Where tasks stand, for those who act on it: seen with an index's eyes, of which only the refs are new."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from runner.agents import Settings
from runner.backlog import Backlog
from runner.observe import View
from runner.progress import Afresh, Refs
from runner.sight import Sight
from runner.state import TaskState
from webhook import store
from webhook.index import crew, families

if TYPE_CHECKING:
    from webhook.index import Index


class Candidates(NamedTuple):
    """The tasks that are not known to be complete or held, in work order, and whom there is to do them.

    `busy` says how many claims each agent holds, `late` are the tasks whose open stage has a lease that has expired.
    """

    slugs: list[str]
    settings: Settings
    away: frozenset[str]
    busy: dict[str, int]
    late: frozenset[str]


def candidates(index: Index, refs: Refs) -> Candidates:
    """What may be worked on, as the index has it after its last refresh."""
    settings = index.settings()
    query = "SELECT slug FROM tasks WHERE completed_at IS NULL AND hold IS NULL ORDER BY " + store.ORDER
    held, expired = crew.claims(index.conn, index.site, refs, settings)
    return Candidates(
        [slug for (slug,) in index.conn.execute(query)],
        settings,
        crew.away(index.sight, refs.ours),
        _busy(index, held),
        frozenset(claim.branch.split("/")[1] for claim in expired),
    )


def busy(index: Index, refs: Refs) -> dict[str, int]:
    """How many claims each agent holds whose leases have not expired."""
    held, _ = crew.claims(index.conn, index.site, refs, index.settings())
    return _busy(index, held)


def _busy(index: Index, held: list[crew.Claimed]) -> dict[str, int]:
    names = dict(index.conn.execute("SELECT id, name FROM agents"))
    return dict(Counter(names[claim.agent_id] for claim in held))


def version(index: Index, refs: Refs, slug: str) -> str:
    """A word that changes when anything about a task does."""
    own = index.apart(refs).get(slug)
    row = index.conn.execute("SELECT * FROM tasks WHERE slug = ?", (slug,)).fetchone()
    return repr((row, sorted(own.branches.items()), sorted(own.ours.items())) if own else row)


def states(index: Index, refs: Refs, slugs: Iterable[str], eyes: Afresh) -> dict[str, TaskState]:
    """Where tasks stand, with their parents and subtasks, and with what only `eyes` can see: this host's own facts, and
    what a merge would do."""
    index.sight.stand_on(refs.base)  # an index that nothing has changed for has not looked there yet
    sight = Sight(index.pipes, eyes, index.sight)
    ground = families.Ground(index.conn, index.site, sight, refs, index.settings(), index.apart(refs), {})
    roots = set(slugs)
    query = "SELECT parent FROM tasks WHERE parent NOT NULL AND slug = ?"
    roots |= {parent for slug in slugs for (parent,) in index.conn.execute(query, (slug,))}
    found = families.with_waits(index.conn, families.look(ground, roots).families, roots)
    return {slug: family.state for slug, family in found.items()}


def view(index: Index, refs: Refs, only: frozenset[str] | None) -> View:
    """What `runner.observe.observe` shows, of the tasks `only`; else of those that are not complete for long."""
    since = "strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-30 days')"
    query = f"SELECT slug FROM tasks WHERE completed_at IS NULL OR completed_at > {since} ORDER BY {store.ORDER}"
    slugs = only if only is not None else [slug for (slug,) in index.conn.execute(query)]
    found = states(index, refs, slugs, Afresh(index.site))
    away, nothing = crew.away(index.sight, refs.ours), Backlog((), ())
    return View(refs, index.settings(), nothing, tuple(found.values()), away, busy(index, refs))
