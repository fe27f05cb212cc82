"""What belongs to a discussion besides what was said, read from Git and from this host's live log."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from runner import backlog, briefing, commands, git, live
from runner.claims.lease import TRAJECTORY
from runner.commands import Command
from runner.errors import UserError
from runner.history import RECORD
from runner.host import Site
from runner.lifecycle import parse_stage_branch
from runner.loop import replay, trajectory
from runner.observe import HEADS, OURS
from runner.progress import Kept, kept
from runner.record import Entry, Record
from runner.talk import files as kinds
from runner.talk.context import Matter, Sent
from runner.talk.looking import difference
from runner.talk.messages import Discussion
from runner.talk.paper import KIND
from runner.talk.papers import Words, wordless
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


def gather(site: Site, base: str, discussion: Discussion, words: Words = wordless) -> Found:
    """All that matters for an answer; `base` is the head of the base branch, `words` read PDFs. Nothing is fetched."""
    guidance = _text(site.repo, base, "AGENTS.md")
    sent = _sent(site, discussion, words)
    task = discussion.about.task
    if task is None:
        return Found(base, base, Matter(guidance=guidance, files=sent))
    head, found = _newest(site.repo, base, task)
    said = commands.read(site.repo, git.resolve(site.repo, f"{OURS}commands/tasks/{task}"))
    folder = found.folder or f"tasks/{task}"
    before, after = _change(site.repo, head, base, folder)
    matter = Matter(
        task=_task(site.repo, base, task, found.record, said),
        standing=_standing(found, said),
        documents=briefing.documents(site.repo, head, folder),
        observations=_observations(site, task),
        diff=difference(site.repo, before, after),
        guidance=guidance,
        files=sent,
    )
    return Found(head, before, matter, _agents(found.record, said))


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


def _change(repo: git.Repo, head: str, base: str, folder: str) -> tuple[str, str]:
    """The two commits between which a task's change lies: since it left base, or the merge that brought it there."""
    if head != base:
        return git.execute(repo, "merge-base", head, base).stdout.decode().strip() or base, head
    merge = git.git(repo, "log", "-1", "--first-parent", "--format=%H", base, "--", f"{folder}/{RECORD}")
    return (f"{merge}^1", merge) if merge and git.resolve(repo, f"{merge}^1") else (base, base)


def _task(repo: git.Repo, base: str, task: str, record: Record | None, said: Sequence[Command]) -> str:
    """What was asked for: in its frozen words where there are any, as its file says, as its issue was accepted."""
    if record is not None:
        asked = record.request
        return _asked(asked.title, asked.body, asked.acceptance)
    file = next((one.request for one in backlog.read(repo, base).tasks if one.id == task), None)
    accepted = commands.standing(said).accepted
    request = file or (accepted.request if accepted else None)
    return _asked(request.title, request.description, request.acceptance) if request else ""


def _asked(title: str, body: str, acceptance: tuple[str, ...]) -> str:
    wanted = ["What must be true in the end:", *(f"- {one}" for one in acceptance)] if acceptance else []
    return "\n".join([title, "", body.strip(), "", *wanted]).strip()


def _standing(found: Kept, said: Sequence[Command]) -> str:
    """What people decided, each stage in a line with its gates and what holds it, the newest lines of the history."""
    now = commands.standing(said)
    decided = [f"People have {word} it." for word in ("paused", "cancelled") if getattr(now, word)]
    stages = (
        [line for stage, entry in found.record.stages.items() for line in _stage(stage, entry)] if found.record else []
    )
    told = [f"{u.timestamp} {u.agent or u.actor or 'runner'}: {one_line(u.content, 200)}" for u in found.updates]
    known = {update.id for update in found.updates}
    new = [f"{c.at} {c.who}: {c.verb} {one_line(c.text, 200)}".rstrip() for c in said if c.id not in known]
    lines = [*told, *new][-UPDATES:]
    begun = stages or ["Nobody has begun with it yet."]
    return "\n".join([*decided, *begun, *(["Newest in its history:"] if lines else []), *lines])


def _stage(stage: str, entry: Entry) -> list[str]:
    used = f"{entry.steps} steps, {entry.tokens} tokens, {entry.cost:.4f} US dollars"
    head = f"{stage}, attempt {entry.attempt}: {entry.state}, by {entry.agent} ({entry.model}), {used}"
    held = [f"  held: {one_line(entry.hold.reason, 500)}"] if entry.hold else []
    return [head, *(f"  gate {gate_line(gate)}" for gate in entry.gates), *held]


def _agents(record: Record | None, said: Sequence[Command]) -> tuple[str, ...]:
    """Whom people assigned, then those that worked on it, the last one first."""
    assigned = commands.standing(said).agent
    worked = [entry.agent for entry in reversed(record.stages.values())] if record else []
    return tuple(dict.fromkeys([*([assigned] if assigned else []), *worked]))


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
        turns = list(trajectory.entries(data, task))[-STEPS:]
    except UserError:
        return ""
    return "\n".join(replay.chat(turns))


def _sent(site: Site, discussion: Discussion, words: Words) -> tuple[Sent, ...]:
    """The files of a discussion, with the beginning of what can be read of them."""
    found = []
    for name, size in discussion.files.items():
        data = git.read(site.repo, discussion.head, f"files/{name}") or b""
        try:
            media = kinds.media_type(name, data)
        except kinds.Refused:
            media = "application/octet-stream"
        text = data[: 4 * EXCERPT].decode("utf-8", "ignore") if kinds.is_text(media) else ""
        if media == KIND:
            text = words(data)
        found.append(Sent(name, size, media, text[:EXCERPT]))
    return tuple(found)


def _text(repo: git.Repo, rev: str, path: str) -> str:
    return (git.read(repo, rev, path) or b"").decode("utf-8", "replace")
