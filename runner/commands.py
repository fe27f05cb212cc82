"""What people say to a task: one JSON commit each, appended to the task's own ref by compare-and-swap.

The ref's order counts. A stage's next commit copies the commands into the history (`updates.jsonl`) under their ids,
so that the history is the union of both.
"""

import uuid
from collections.abc import Collection, Iterable
from typing import Any, Literal

import msgspec

from runner import git
from runner.errors import UserError
from runner.lifecycle import Stage
from runner.task import Budget

Verb = Literal[
    "pause", "resume", "cancel", "retry", "assign", "comment", "reject", "answer", "set-status", "set-budget"
]  # fmt: skip


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One command: a unique `id`, when (`at`, ISO 8601), `who` said it, the `verb` and its arguments.

    `comment`, `reject`, `retry` and `answer` carry the `stage` and `attempt` they were said of.
    """

    id: str
    at: str
    who: str
    verb: Verb
    args: dict[str, Any] = {}

    def about(self, stage: Stage, attempt: int) -> bool:
        """Whether the command was said of this attempt."""
        return self.args.get("stage") == stage and self.args.get("attempt") == attempt

    @property
    def text(self) -> str:
        """What the person wrote, or nothing."""
        return str(self.args.get("text", ""))


class Standing(msgspec.Struct, frozen=True):
    """What the commands so far amount to."""

    paused: bool = False
    cancelled: bool = False
    agent: str | None = None
    budget: Budget | None = None
    acknowledged: frozenset[str] = frozenset()


def ref_of(task: str) -> str:
    """The ref that holds a task's commands."""
    return f"refs/pullwright/commands/tasks/{task}"


def standing(commands: Iterable[Command]) -> Standing:
    """Pure: the commands in their order → what is in force now. Later ones override earlier ones."""
    now = Standing()
    for command in commands:
        match command.verb:
            case "pause":
                now = msgspec.structs.replace(now, paused=True)
            case "resume":
                seen = {str(command.args["sha256"])} if "sha256" in command.args else set()
                now = msgspec.structs.replace(now, paused=False, acknowledged=now.acknowledged | seen)
            case "cancel":
                now = msgspec.structs.replace(now, cancelled=True)
            case "retry":
                now = msgspec.structs.replace(now, cancelled=False, paused=False)
            case "assign":
                now = msgspec.structs.replace(now, agent=str(command.args["agent"]))
            case "set-budget":
                now = msgspec.structs.replace(now, budget=msgspec.convert(command.args["budget"], Budget))
    return now


def unheard(commands: Iterable[Command], heard: Collection[str]) -> tuple[Command, ...]:
    """Pure: the commands that no history holds yet."""
    return tuple(command for command in commands if command.id not in heard)


def read(repo: git.Repo, commit: str | None) -> tuple[Command, ...]:
    """The commands on a ref's commit, oldest first. A commit that is not a command is passed over."""
    if commit is None:
        return ()
    found = []
    for text in reversed(git.log(repo, commit, "%B", "--first-parent")):
        try:
            found.append(msgspec.json.decode(text, type=Command))
        except msgspec.DecodeError:
            continue  # anybody who may push can write here; what is no command commands nothing
    return tuple(found)


def append(repo: git.Repo, url: str, ref: str, command: Command, *, tries: int = 20) -> None:
    """Put a command at the end of its ref on the hub, once; nothing happens when its id is there already.

    Raises `UserError` when the hub refuses.
    """
    said = ""
    for _ in range(tries):
        tip = git.remote_refs(repo, url, ref).get(ref)
        if tip is not None:
            git.fetch(repo, url, f"+{ref}:refs/remotes/hub/{ref.removeprefix('refs/')}")
            if command.id in {earlier.id for earlier in read(repo, tip)}:
                return
        empty = git.git(repo, "hash-object", "-w", "-t", "tree", "--stdin")
        text = msgspec.json.encode(command).decode()
        made = git.commit(repo, empty, [tip] if tip else [], text, when=command.at)
        answer = git.push(repo, url, git.Push(ref, made, tip or ""))
        if answer.flags.get(ref) in ("*", " ") or git.remote_refs(repo, url, ref).get(ref) == made:
            return
        said = answer.said
    raise UserError(
        f"the hub did not take the command {command.verb}: {said}", "look at the remote's rules for refs/pullwright/*"
    )


def new(verb: Verb, who: str, at: str, **args: Any) -> Command:
    """A command with an id of its own."""
    return Command(str(uuid.uuid4()), at, who, verb, args)
