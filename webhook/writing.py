"""What the API writes, to Git and to nothing else: task files, commands, folders for work."""

import subprocess
from datetime import UTC, datetime
from typing import Any

import msgspec

from runner import commands, git, workspace
from runner.agents import Settings
from runner.commands import Command
from runner.errors import UserError
from runner.forge import Hosting
from runner.git import Identity
from runner.host import Site, lock, timestamp
from runner.lifecycle import Stage
from runner.parsing.yamldoc import dump
from runner.people import issues
from runner.people.orders import compose
from runner.progress import Refs
from runner.state import TaskState
from runner.task import parse_task, slug_of
from webhook.index import Index
from webhook.rows import Names
from webhook.shapes import Made, NewTask, Said


class Conflict(Exception):
    """The request makes sense, but not as things stand."""


class Senseless(Exception):
    """The request can be read and makes no sense."""


def new_task(site: Site, index: Index, refs: Refs, asked: NewTask, by: Identity | None = None) -> Made:
    """Write a task file: onto base, or where base takes no commit, onto a branch that has to be merged.

    `by` is who asks for it; None: nobody said so.
    """
    slug = asked.id or _slug(asked.title)
    path = f"tasks/{slug}.yaml"
    data = dump(_keys(asked))
    try:
        parse_task(path, data)
    except UserError as error:
        raise Senseless(str(error)) from error
    if index.names(refs, slug):
        raise Conflict(f"there is a task {slug} already: give another id")
    tree = git.tree_with(site.repo, git.tree_of(site.repo, refs.base), {path: data})
    made = git.commit(site.repo, tree, [refs.base], f"Task: {asked.title}\n", author=by or git.RUNNER)
    id = Names(index.settings().repository).task(slug)
    if _onto_base(site, refs, slug, made):
        return Made(id, slug, path, commit=made)
    return Made(id, slug, path, proposal=_branch(slug))


def new_issue(hosting: Hosting | None, settings: Settings, asked: NewTask) -> Made:
    """Open an issue that asks for the task. The label, which makes it one, is a person's to put on.

    Raises `Senseless` for what an issue cannot say.
    """
    if hosting is None:
        raise UserError("policy.new_tasks says issue, and forge is local", "say forge: github, or new_tasks: file")
    try:
        if asked.id is not None:
            raise UserError("an issue's task is named by its number", "leave the id out")
        keys = {"description": asked.title} | _keys(asked)  # the form wants one
        request = parse_task("tasks/the-issue.yaml", dump(keys)).request
        text = issues.written(request)
    except UserError as error:
        raise Senseless(str(error)) from error
    number, place = hosting.open_issue(request.title, text)
    slug = f"issue-{number}"
    return Made(Names(settings.repository).task(slug), slug, issue=place)


def offered(hosting: Hosting | None, settings: Settings, made: Made, title: str) -> Made:
    """A task whose branch has to be merged, with a pull request where there are such."""
    if hosting is None or made.proposal is None:
        return made
    place = hosting.offer(made.proposal, settings.base, f"Task: {title}", f"Merging this adds the task `{made.slug}`.")
    return msgspec.structs.replace(made, proposal=place)


def _keys(asked: NewTask) -> dict[str, Any]:
    """The keys of the file: those that were given."""
    plain = msgspec.to_builtins(asked)
    del plain["id"]
    return {key: value for key, value in plain.items() if value not in (None, "", [], {})}


def _slug(title: str) -> str:
    slug = slug_of(title)
    if not slug:
        raise Senseless("no id can be made from this title: give one")
    return slug


def _branch(slug: str) -> str:
    return f"pullwright/task/{slug}"


def _onto_base(site: Site, refs: Refs, slug: str, made: str) -> bool:
    """Move base to the commit; where it refuses, or is checked out and not clean there, the branch stays."""
    target, aside = f"refs/heads/{refs.base_name}", f"refs/heads/{_branch(slug)}"
    answer = git.push(site.repo, site.hub.url, git.Push(target, made, refs.base))
    if answer.flags.get(target) == " ":
        return True
    if git.remote_refs(site.repo, site.hub.url, target).get(target) == made:
        return True
    refused = answer.refusal()
    moved = git.push(site.repo, site.hub.url, git.Push(aside, made, ""))
    if moved.flags.get(aside) != "*" and git.remote_refs(site.repo, site.hub.url, aside).get(aside) != made:
        raise Conflict(
            f"the hub takes the task neither on {refs.base_name} nor beside it: {moved.refusal() or refused}"
        )
    own = site.hub.own
    if own is None or subprocess.run(_forward(made), cwd=own, capture_output=True).returncode != 0:
        return False
    git.push(site.repo, site.hub.url, git.Push(aside, "", made))
    return True


def _forward(commit: str) -> list[str]:
    """Where base is checked out, the person's own Git brings it forward, or refuses what would lose their work."""
    return ["git", "-c", "core.hooksPath=/dev/null", "merge", "--quiet", "--ff-only", commit]


def set_status(site: Site, state: TaskState, settings: Settings, status: Stage, who: str, reason: str) -> Said:
    """Put a task at a stage. Raises `Conflict` for a complete one, `Senseless` for a stage that it does not have."""
    if state.current is None:
        raise Conflict(f"{state.task.id} is complete")
    if status not in state.stages:
        raise Senseless(f"{state.task.id} has no stage {status}; its stages are {', '.join(state.stages)}")
    more = {"text": reason} if reason else {}
    command = compose(state, settings, "set-status", who, now(), status=str(status), **more)
    return say(site, commands.ref_of(state.task.id), command)


def set_availability(site: Site, agent: str, status: str, who: str, reason: str) -> Said:
    """Send an agent away, or call it back."""
    more = {"text": reason} if reason else {}
    return say(site, commands.ref_of_agent(agent), commands.new("set-status", who, now(), status=status, **more))


def say(site: Site, ref: str, command: Command) -> Said:
    """Put a command onto its ref."""
    with lock(site.state, "fetch"):
        commands.append(site.repo, site.hub.url, ref, command)
    return Said(command.id, ref)


def prepare_workspace(site: Site, state: TaskState, agent: str) -> bool:
    """Lay out a workspace, unless it is there; whether it was made. Raises `Conflict` while somebody is at the task."""
    space = workspace.at(site.state / "workspaces", agent, state.task.id, state.task.folder)
    with lock(site.state, f"task-{state.task.id}", wait=False) as ours:
        if space.src.is_dir():
            return False
        if not ours:
            raise Conflict(f"a runner is at {state.task.id} just now")
        head = state.work or state.base
        workspace.prepare(space, site.repo, head, f"# {state.task.request.title}\n")
        workspace.await_files(space, head)
    return True


def now() -> str:
    """This moment, as commands have it."""
    return timestamp(datetime.now(UTC))
