"""One look at the hub: fetch, read the settings and the tasks of base, and where each task stands."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import NamedTuple

import msgspec

from runner import backlog, commands, evaluating, git
from runner.agents import Settings, parse_settings
from runner.assign import order
from runner.backlog import Backlog
from runner.decide import Crew
from runner.errors import UserError
from runner.history import RECORD
from runner.host import Site, lock
from runner.lifecycle import parse_stage_branch, work_branch
from runner.progress import Afresh, Eyes, Kept, Refs, done_stages, task_state
from runner.record import Record
from runner.sight import Sight
from runner.sight.lineage import Lineage
from runner.sight.owners import by_task
from runner.sight.pipes import Pipes, iso
from runner.state import TaskState
from runner.subtasks import families, waiting
from runner.task import Task, TaskFile

HEADS = "refs/remotes/hub/heads/"
OURS = "refs/remotes/hub/pullwright/"
ISSUE = re.compile(r"issue-[1-9][0-9]*")
REFSPECS = (f"+refs/heads/*:{HEADS}*", f"+refs/pullwright/*:{OURS}*")


class View(NamedTuple):
    """What one look shows: the hub's refs, the settings and the backlog of base, every task's state in work order.

    `away` are the agents that a person has sent away. `claimed` says how many claims each agent holds, where not every
    task's state is here.
    """

    refs: Refs
    settings: Settings
    backlog: Backlog
    states: tuple[TaskState, ...]
    away: frozenset[str] = frozenset()
    claimed: Mapping[str, int] | None = None

    def state(self, task: str) -> TaskState:
        """The state of one task. Raises `UserError` when there is none of that id."""
        for state in self.states:
            if state.task.id == task:
                return state
        for problem in self.backlog.problems:
            if _stem(problem.path) == task:
                raise UserError(f"{problem.path}: {problem.what}", problem.remedy)
        known = ", ".join(state.task.id for state in self.states[:8]) or "none"
        raise UserError(
            f"there is no task {task} on the base branch (there are: {known})",
            "a task counts once its file is on the hub's base branch: push or merge it",
        )

    def crew(self, offline: frozenset[str] = frozenset()) -> Crew:
        """Who is busy with what is claimed now, and who is `offline` or away."""
        busy: dict[str, int] = dict(self.claimed or {})
        for state in self.states if self.claimed is None else ():
            stage = state.open
            if stage is not None and stage.entry.state == "working" and not stage.expired:
                busy[stage.entry.agent] = busy.get(stage.entry.agent, 0) + 1
        return Crew(busy, offline | self.away)


class Looks:
    """Looks at the hub one after the other, by Git processes that stay open: what is as it was is not read again."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.pipes = Pipes(site.repo)
        self.sight = Sight(self.pipes)

    def close(self) -> None:
        """End the processes."""
        self.pipes.close()

    def __call__(self) -> View:
        """Look. Raises `UserError` when the hub cannot be read or is not a Pullwright repository."""
        refs = fetch_refs(self.site)
        lineage = Lineage(self.site.repo, refs.base, refs.branches.values())
        self.sight = Sight(self.pipes, Afresh(self.site), like=self.sight, lineage=lineage)
        self.sight.stand_on(refs.base)
        return look(self.site, refs, self.sight)


def observe(site: Site) -> View:
    """Look at the hub once. Raises as `Looks` does."""
    with closing(Looks(site)) as looks:
        return looks()


def look(site: Site, refs: Refs, eyes: Eyes) -> View:
    """What refs that were fetched show, seen with `eyes`."""
    settings = read_settings(site.repo, refs.base)
    found = backlog.read(site.repo, refs.base)
    from_issues = accepted(refs, eyes)
    created = created_at(site.repo, refs.base) | {task.id: at for task, at in from_issues}
    ordered = order((*found.tasks, *(task for task, _ in from_issues)), created)
    reverted = reverted_at(site.repo, refs.base)
    own, none = by_task(refs), refs._replace(branches={}, ours={})
    states = [task_state(site, own.get(task.id, none), settings, task, reverted.get(task.id), eyes) for task in ordered]
    children = families(site, refs, settings, states, eyes)
    states = [waiting(state, children) for state in _with_waits(states)]
    states += [child for parent in children.values() for child in _with_waits(parent)]
    states = evaluating.judged(site, settings, states)
    known = {state.task.id for state in states} | {_stem(problem.path) for problem in found.problems}
    return View(refs, settings, found, (*states, *removed(eyes, refs, known)), away(site.repo, refs))


def away(repo: git.Repo, refs: Refs) -> frozenset[str]:
    """The agents that a person has sent away, by a command on their own refs."""
    found = {
        name.removeprefix(commands.AGENTS): oid for name, oid in refs.ours.items() if name.startswith(commands.AGENTS)
    }
    return frozenset(name for name, oid in found.items() if commands.absent(commands.read(repo, oid)))


def accepted(refs: Refs, eyes: Eyes) -> list[tuple[Task, str]]:
    """The tasks that issues became, each with when; a command on the task's own ref says so, and what was asked."""
    found = []
    for name, oid in refs.ours.items():
        id = name.removeprefix("commands/tasks/")
        if ISSUE.fullmatch(id) and id != name:
            given = commands.standing(eyes.said(oid)).accepted
            if given is not None:
                path = f"tasks/{id}.yaml"  # where its record belongs; no such file is made
                found.append((Task(id, path, given.request, "", given.source, given.by), given.at))
    return found


def _stem(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[0]


def fetch_refs(site: Site) -> Refs:
    """Fetch what the hub has into remote-tracking refs, and read those."""
    with lock(site.state, "fetch"):  # two fetches into the same refs get in each other's way
        try:
            git.fetch(site.repo, site.hub.url, *REFSPECS)
        except (git.Silent, git.NoRoom):
            raise
        except git.GitError as error:
            raise UserError(
                f"cannot read the hub {git.public(site.hub.url)}: {error.stderr.strip()}",
                "check the remote: git remote -v",
            ) from error
        branches, ours = mirrored(site.repo)
    name = base_branch(site)
    if name not in branches:
        first = "commit something on it, as pullwright init does" if site.hub.own else f"git push origin {name}"
        raise UserError(
            f"the hub {git.public(site.hub.url)} has no branch {name} with a commit on it",
            f"{first}; another base branch is named by `base:` in agents.yaml",
        )
    return Refs(branches[name], name, branches, ours)


def mirrored(repo: git.Repo) -> tuple[dict[str, str], dict[str, str]]:
    """The hub's refs as the mirror has them: branch → commit, and ref below `refs/pullwright/` → commit."""
    there = git.refs(repo, HEADS, OURS)
    branches, ours = (
        {name.removeprefix(prefix): oid for name, oid in there.items() if name.startswith(prefix)}
        for prefix in (HEADS, OURS)
    )
    return branches, ours


def base_branch(site: Site) -> str:
    """The name of the base branch: `base` of the agents.yaml at hand, else the hub's own head."""
    at_hand = site.folder / "agents.yaml"
    if at_hand.is_file():
        return parse_settings(at_hand.read_bytes()).base
    return git.head_branch(site.repo, site.hub.url) or "main"


def read_settings(repo: git.Repo, base: str) -> Settings:
    """The settings on the base branch, which alone count."""
    data = git.read(repo, base, "agents.yaml")
    if data is None:
        raise UserError("agents.yaml is not on the base branch", "make it with pullwright init, commit and push it")
    return parse_settings(data)


def created_at(repo: git.Repo, base: str) -> dict[str, str]:
    """Task id → when its file first came to base (ISO 8601, UTC)."""
    found: dict[str, str] = {}
    for _, when, path in _moves(repo, base, "A"):
        found.setdefault(path.rpartition("/")[2].removesuffix(".yaml"), iso(int(when)))
    return found


def reverted_at(repo: git.Repo, base: str) -> dict[str, str]:
    """Task id → the last commit that took its record off base, for every task whose record base once held."""
    found: dict[str, str] = {}
    for commit, _, path in _moves(repo, base, "D"):
        if path.endswith(f"/{RECORD}"):
            found[path.split("/")[-2]] = commit
    still = {file.path.split("/")[-2] for file in git.files(repo, base, "tasks") if file.path.endswith(f"/{RECORD}")}
    return {task: commit for task, commit in found.items() if task not in still}


def _moves(repo: git.Repo, base: str, kind: str) -> Iterator[tuple[str, str, str]]:
    """What came to (`A`) or went from (`D`) `tasks/` on base's own line, oldest first: commit, seconds, path."""
    form = ("--first-parent", "-m", "--no-renames", "--format=%x01%H %ct", "--diff-filter=AD", "--name-status")
    out = git.git_once(repo, [base], "log", *form, "--reverse", base, "--", "tasks")
    for block in out.split("\x01")[1:]:
        head, *lines = [line for line in block.splitlines() if line]
        commit, when = head.split(" ")
        for what, _, path in (line.partition("\t") for line in lines):
            if what == kind:
                yield commit, when, path


def removed(eyes: Eyes, refs: Refs, known: set[str]) -> list[TaskState]:
    """Tasks that are under way and whose file is gone from base: each is a hold, built from its frozen request."""
    states = []
    for id, heads in _under_way(refs, known).items():
        if all(eyes.holds(refs.base, head) for head in heads):
            continue
        found = next((kept for head in heads if (kept := eyes.kept(head, id)).record is not None), None)
        if found is not None and found.record is not None:
            states.append(_removed(eyes, refs, id, found.record, found))
    return states


def _under_way(refs: Refs, known: set[str]) -> dict[str, list[str]]:
    """Id → heads of the task branch and of the stage branches, for tasks that are not `known`."""
    found: dict[str, list[str]] = {}
    for branch, head in refs.branches.items():
        stage = parse_stage_branch(branch)
        id = stage.task if stage else branch.removeprefix("work/") if branch.startswith("work/") else None
        if id is not None and id not in known:
            found.setdefault(id, []).insert(0 if stage is None else len(found.get(id, ())), head)
    return found


def _removed(eyes: Eyes, refs: Refs, id: str, record: Record, found: Kept) -> TaskState:
    frozen = record.request
    request = TaskFile(frozen.title, frozen.body, frozen.complexity, stages=frozen.stages)
    said = eyes.said(refs.ours.get(commands.ref_of(id).removeprefix("refs/pullwright/")))
    standing = commands.standing(said)
    return TaskState(
        task=Task(id, frozen.source, request, found.folder),
        stages=frozen.stages,
        done=done_stages(frozen.stages, None, record, standing),
        base=refs.base,
        work=refs.branches.get(work_branch(id)),
        record=record,
        frozen=frozen,
        started=True,
        commands=said,
        standing=standing,
        updates=found.updates,
        trouble=f"task removed: {frozen.source} is gone from the base branch",
    )


def _with_waits(states: Iterable[TaskState]) -> list[TaskState]:
    """States of one base, each with the tasks of that base which it still waits for."""
    states = tuple(states)
    complete = {state.task.id: state.current is None for state in states}
    return [msgspec.structs.replace(state, **unfinished(state, complete)) for state in states]


def unfinished(state: TaskState, complete: Mapping[str, bool]) -> dict[str, tuple[str, ...]]:
    """Pure: the fields `waits` and `missing`. `complete` says of each task that there is whether it is."""
    depends = state.frozen.depends_on if state.frozen else state.task.request.depends_on
    waits = tuple(name for name in depends if not complete.get(name))
    return {"waits": waits, "missing": tuple(name for name in waits if name not in complete)}
