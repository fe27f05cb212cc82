"""What people say to a task: one JSON commit each, appended to the task's own ref by compare-and-swap.

The ref's order counts. A stage's next commit copies the commands into the history (`updates.jsonl`) under their ids,
so that the history is the union of both.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

import msgspec

from runner import git
from runner.errors import UserError
from runner.lifecycle import Stage
from runner.task import Budget, TaskFile, digest

Verb = Literal[
    "pause", "resume", "cancel", "retry", "assign", "comment", "reject", "answer", "set-status", "set-budget",
    "accept", "withdraw",
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


class Accepted(msgspec.Struct, frozen=True):
    """An issue that somebody accepted as a task: the frozen request, by whom, when, where it came from.

    `text` is the fingerprint of what the issue said then, `acts` are the ids of all acts by which it was accepted.
    """

    request: TaskFile
    by: str
    at: str
    source: str
    text: str
    acts: frozenset[str] = frozenset()


class Standing(msgspec.Struct, frozen=True):
    """What the commands so far amount to.

    `kept` and `adopted` are digests of changed task files: the old text stays in force, or the new one is taken.
    `restarted` are commits that reverted the task and after which it shall begin anew. `floors` say above which
    attempt a stage's work counts, `skipped` which stages count as done though nobody did them. `accepted` is the task
    of an issue, `withdrawn` why it is not accepted any more.
    """

    paused: bool = False
    cancelled: bool = False
    agent: str | None = None
    budget: Budget | None = None
    kept: frozenset[str] = frozenset()
    adopted: frozenset[str] = frozenset()
    restarted: frozenset[str] = frozenset()
    floors: Mapping[Stage, int] = {}
    skipped: frozenset[Stage] = frozenset()
    accepted: Accepted | None = None
    withdrawn: str | None = None


def ref_of(task: str) -> str:
    """The ref that holds a task's commands."""
    return f"refs/pullwright/commands/tasks/{task}"


AGENTS = "commands/agents/"
"""Where commands to agents lie, below `refs/pullwright/`."""


def ref_of_agent(name: str) -> str:
    """The ref that holds an agent's commands."""
    return f"refs/pullwright/{AGENTS}{name}"


def absent(commands: Iterable[Command]) -> bool:
    """Pure: whether an agent was sent away: the last `set-status` says `offline` (and not `available`)."""
    said = [command.args.get("status") for command in commands if command.verb == "set-status"]
    known = [status for status in said if status in ("available", "offline")]
    return known[-1:] == ["offline"]


def standing(commands: Iterable[Command]) -> Standing:
    """Pure: the commands in their order → what is in force now. Later ones override earlier ones."""
    now = Standing()
    for command in commands:
        now = msgspec.structs.replace(now, **_effect(now, command))
    return now


def _effect(now: Standing, command: Command) -> dict[str, Any]:
    """Pure: the fields that a command changes. One with arguments of a wrong shape changes nothing."""
    match command.verb, command.args:
        case "pause", _:
            return {"paused": True}
        case "resume", {"sha256": str(digest)}:
            return {"paused": False, "kept": now.kept | {digest}}
        case "resume", _:
            return {"paused": False}
        case "cancel", _:
            return {"cancelled": True}
        case "retry", args:
            adopted, reverted = args.get("sha256"), args.get("reverted")
            return {
                "cancelled": False,
                "paused": False,
                "adopted": now.adopted | ({adopted} if isinstance(adopted, str) else set()),
                "restarted": now.restarted | ({reverted} if isinstance(reverted, str) else set()),
            }
        case "assign", {"agent": str(agent)}:
            return {"agent": agent}
        case "set-budget", {"budget": budget}:
            try:
                return {"budget": msgspec.convert(budget, Budget)}
            except msgspec.ValidationError:
                return {}
        case "accept", args:
            return _accepted(now, command.at, args)
        case "withdraw", args:
            return {"withdrawn": str(args.get("why", "it is not accepted any more"))}
        case "set-status", {"status": str(status)} if status in tuple(Stage):
            return _moved(now, Stage(status), command.args.get("above"))
        case _:
            return {}


def _accepted(now: Standing, at: str, args: dict[str, Any]) -> dict[str, Any]:
    """`accept`: the issue is a task with this request; accepted anew, the new text takes the place of the old."""
    before = now.accepted.acts if now.accepted else frozenset()
    acts = before | {str(args.get("act"))}
    try:
        fields = {key: args.get(key) for key in ("request", "by", "source", "text")}
        found = msgspec.convert({**fields, "at": at, "acts": acts}, Accepted)
    except msgspec.ValidationError:
        return {}
    adopted = now.adopted | {digest(found.request)} if now.accepted else now.adopted
    return {"accepted": found, "withdrawn": None, "adopted": adopted}


def _moved(now: Standing, to: Stage, above: object) -> dict[str, Any]:
    """`set-status`: from `to` on only new attempts count; the stages before it count as done."""
    order = list(Stage)
    later, earlier = order[order.index(to) :], order[: order.index(to)]
    highest = above if isinstance(above, dict) else {}
    floors = {stage: int(highest[stage]) for stage in later if isinstance(highest.get(stage), int)}
    return {"floors": {**now.floors, **floors}, "skipped": (now.skipped - set(later)) | set(earlier)}


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
        move = drafted(repo, url, ref, command)
        if move is None:
            return
        answer = git.push(repo, url, move)
        if answer.flags.get(ref) in ("*", " ") or git.remote_refs(repo, url, ref).get(ref) == move.new:
            return
        said = answer.refusal()
    raise UserError(
        f"the hub did not take the command {command.verb}: {said}", "look at the remote's rules for refs/pullwright/*"
    )


def drafted(repo: git.Repo, url: str, ref: str, command: Command) -> git.Push | None:
    """The push that puts a command at the end of its ref as the hub has it now; None when its id is there already."""
    tip = git.remote_refs(repo, url, ref).get(ref)
    if tip is not None:
        git.fetch(repo, url, f"+{ref}:refs/remotes/hub/{ref.removeprefix('refs/')}")
        if command.id in {earlier.id for earlier in read(repo, tip)}:
            return None
    said = msgspec.json.encode(command).decode()
    made = git.commit_with(repo, {}, [tip] if tip else [], said, tree=git.EMPTY_TREE, when=command.at)
    return git.Push(ref, made, tip or "")


def new(verb: Verb, who: str, at: str, **args: Any) -> Command:
    """A command with an id of its own."""
    return Command(str(uuid.uuid4()), at, who, verb, args)
