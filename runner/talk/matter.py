"""What belongs to a discussion besides what was said, read from Git and from this host's live log."""

from pathlib import Path
from typing import NamedTuple

from runner import backlog, briefing, commands, git, live, replay
from runner.errors import UserError
from runner.host import Site
from runner.lease import TRAJECTORY
from runner.lifecycle import parse_stage_branch
from runner.observe import HEADS, OURS
from runner.progress import Kept, kept
from runner.record import Entry, Record
from runner.talk import files as kinds
from runner.talk.context import Matter, Sent
from runner.talk.looking import difference
from runner.talk.messages import Discussion
from runner.task import TaskFile
from runner.trajectory import entries
from runner.wording import gate_line, one_line

TAIL = 64 << 10
STEPS = 12
UPDATES = 12
EXCERPT = 20_000
"""Characters of one sent text that are read; the window decides how much of it is shown."""


class Found(NamedTuple):
    """Where a discussion's task stands: the commit to look at, the one to compare with, and what matters.

    `agents` are those that had to do with it, the present one first.
    """

    head: str
    base: str
    matter: Matter
    agents: tuple[str, ...] = ()


def gather(site: Site, base: str, discussion: Discussion) -> Found:
    """All that matters for an answer; `base` is the head of the base branch. Nothing is fetched."""
    guidance = _text(site.repo, base, "AGENTS.md")
    sent = _sent(site, discussion)
    task = discussion.about.task
    if task is None:
        return Found(base, base, Matter(guidance=guidance, files=sent))
    head, found = _newest(site.repo, base, task)
    record = found.record
    before = _fork(site.repo, head, base)
    matter = Matter(
        task=_task(site.repo, base, task, record),
        standing=_standing(found),
        documents=briefing.documents(site.repo, head, found.folder or f"tasks/{task}"),
        observations=_observations(site, task),
        diff=difference(site.repo, before, head) if head != base else "",
        guidance=guidance,
        files=sent,
    )
    return Found(head, before, matter, _agents(record))


def _newest(repo: git.Repo, base: str, task: str) -> tuple[str, Kept]:
    """The commit where most is known of a task: of its branches the one that moved last, else base."""
    form = "--format=%(objectname) %(refname)"
    places = (f"{HEADS}agents/{task}", f"{HEADS}work/{task}")
    out = git.git(repo, "for-each-ref", "--sort=-committerdate", form, *places)
    for line in out.splitlines():
        oid, _, name = line.partition(" ")
        branch = name.removeprefix(HEADS)
        stage = parse_stage_branch(branch)
        there = kept(repo, oid, task) if stage or branch == f"work/{task}" else Kept()
        if there.record is not None and not git.is_ancestor(repo, oid, base):
            return oid, there
    return base, kept(repo, base, task)


def _fork(repo: git.Repo, head: str, base: str) -> str:
    done = git.execute(repo, "merge-base", head, base)
    return done.stdout.decode().strip() or base


def _task(repo: git.Repo, base: str, task: str, record: Record | None) -> str:
    """What was asked for, in its frozen words where there are any."""
    if record is not None:
        asked = record.request
        return _asked(asked.title, asked.body, asked.acceptance)
    file = next((one.request for one in backlog.read(repo, base).tasks if one.id == task), None) or _issue(repo, task)
    return _asked(file.title, file.description, file.acceptance) if file else ""


def _issue(repo: git.Repo, task: str) -> TaskFile | None:
    """The request of an issue that somebody accepted as a task, and nobody has begun with."""
    said = commands.read(repo, git.resolve(repo, f"{OURS}commands/tasks/{task}"))
    accepted = commands.standing(said).accepted
    return accepted.request if accepted else None


def _asked(title: str, body: str, acceptance: tuple[str, ...]) -> str:
    wanted = ["What must be true in the end:", *(f"- {one}" for one in acceptance)] if acceptance else []
    return "\n".join([title, "", body.strip(), "", *wanted]).strip()


def _standing(found: Kept) -> str:
    """Each stage in a line, with its gates and what holds it; then the newest lines of the history."""
    if found.record is None:
        return "Nobody has begun with it yet."
    stages = [line for stage, entry in found.record.stages.items() for line in _stage(stage, entry)]
    said = [f"{u.timestamp} {u.agent or u.actor or 'runner'}: {one_line(u.content, 200)}" for u in found.updates]
    return "\n".join([*stages, *(["Newest in its history:"] if said else []), *said[-UPDATES:]])


def _stage(stage: str, entry: Entry) -> list[str]:
    used = f"{entry.steps} steps, {entry.tokens} tokens, {entry.cost:.4f} US dollars"
    head = f"{stage}, attempt {entry.attempt}: {entry.state}, by {entry.agent} ({entry.model}), {used}"
    held = [f"  held: {one_line(entry.hold.reason, 500)}"] if entry.hold else []
    return [head, *(f"  gate {gate_line(gate)}" for gate in entry.gates), *held]


def _agents(record: Record | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(entry.agent for entry in reversed(record.stages.values()))) if record else ()


def _observations(site: Site, task: str) -> str:
    """The last steps: as this host saw them, or as the newest pushed trajectory has them."""
    return _live(live.path_of(site.state, task)) or _pushed(site.repo, task)


def _live(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        steps = [step for step in live.read(file.read()) if step.kind in ("result", "told", "end")]
    return "\n".join(f"[{step.stage} {step.steps}] {step.tool}\n{step.text}".strip() for step in steps[-STEPS:])


def _pushed(repo: git.Repo, task: str) -> str:
    out = git.git(repo, "for-each-ref", "--sort=-committerdate", "--format=%(objectname)", f"{OURS}trajectories/{task}")
    data = next((found for oid in out.splitlines()[:1] if (found := git.read(repo, oid, TRAJECTORY))), b"")
    try:
        turns = list(entries(data, task))[-STEPS:]
    except UserError:
        return ""
    return "\n".join(replay.chat(turns))


def _sent(site: Site, discussion: Discussion) -> tuple[Sent, ...]:
    """The files of a discussion, with the beginning of those that are text."""
    found = []
    for name, size in discussion.files.items():
        data = git.read(site.repo, discussion.head, f"files/{name}") or b""
        try:
            media = kinds.media_type(name, data)
        except kinds.Refused:
            media = "application/octet-stream"
        text = data[: 4 * EXCERPT].decode("utf-8", "ignore")[:EXCERPT] if kinds.is_text(media) else ""
        found.append(Sent(name, size, media, text))
    return tuple(found)


def _text(repo: git.Repo, rev: str, path: str) -> str:
    return (git.read(repo, rev, path) or b"").decode("utf-8", "replace")
