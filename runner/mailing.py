"""Which letters a turn leads to: one for each thing that happened to a task of this host, and those of its agents.

What happened is looked up, as everything else: a letter follows from where a task stands, is named by that, and so is
written once, whoever looks how often. The host that has the stage writes it.
"""

import time
from collections.abc import Callable, Iterable
from functools import partial
from hashlib import blake2b
from typing import NamedTuple

from runner import git, wording
from runner.claims.lease import Lease
from runner.decide import Action, Finish, Hold, Nothing
from runner.errors import ToolError, UserError
from runner.host import Host, lock
from runner.lifecycle import Stage
from runner.notify import MOST_EACH, Attachment, Event, Letter, bounded, letters, named
from runner.notify.letters import Facts
from runner.notify.outbox import Outbox
from runner.notify.smtp import deliver
from runner.observe import View
from runner.record import Entry
from runner.secrets import as_text, new_secret
from runner.state import TaskState

MOST_OF_AGENTS = 5
"""Letters that agents may send about one task."""


class Happened(NamedTuple):
    """Something of which people are told: `key` tells it from the same event at another time, `commit` holds it."""

    event: Event
    key: str
    commit: str
    stage: Stage
    entry: Entry


def happened(host: str, state: TaskState, action: Action) -> Happened | None:
    """What people may be told of a task where it stands now, by `host`. Pure."""
    opened = state.open
    if isinstance(action, Finish) and state.record is not None and state.record.stages:
        stage, entry = list(state.record.stages.items())[-1]
        return Happened("finished", entry.claim, state.base, stage, entry) if entry.host == host else None
    if not isinstance(action, Hold | Nothing) or opened is None or opened.entry.state not in ("ready", "held"):
        return None  # it goes on by itself
    if opened.entry.host != host:
        return None
    return Happened(_event(opened.entry), opened.head, opened.head, opened.ref.stage, opened.entry)


def _event(entry: Entry) -> Event:
    if entry.hold is None:
        return "needs-review"
    kinds: dict[str, Event] = {"input": "needs-input", "failure": "failed"}
    return kinds.get(entry.hold.kind, "held")


def tell(host: Host, view: View, steps: Iterable[tuple[TaskState, Action]]) -> None:
    """Write the letters that are due, and send what waits. A mail server that is down changes nothing here."""
    settings, outbox = view.settings.notifications.mail, _outbox(host)
    if settings is None or host.mail is None:
        return
    found = [(state, what) for state, action in steps if (what := happened(host.id, state, action))]
    with lock(host.state, "mail", wait=False) as ours:
        if not ours:
            return
        if outbox.is_new:  # what stood so before mail was set up is no news
            outbox.begin(tuple(_id(state, what) for state, what in found))
        for state, what in found:
            to = settings.tasks.get(state.task.id, settings.to)
            if to and what.event in settings.events and not outbox.knows(_id(state, what)):
                outbox.put(_letter(host, state, what, to, attach=settings.attach))
        for sentence in outbox.send(partial(deliver, host.mail), time.time()):
            host.say(sentence)


def post(
    lease: Lease, tell: Callable[..., None] = lambda *_: None
) -> Callable[[str, str, tuple[Attachment, ...]], str] | None:
    """How the agent of a stage sends letters; None where it may not. They go to whom agents.yaml names, and are few.

    `tell` takes note of what the files say, or raises `ToolError`.
    """
    host, settings, task = lease.host, lease.settings.notifications.mail, lease.ref.task
    if settings is None or host.mail is None:
        return None
    to = settings.tasks.get(task, settings.to)

    def send(subject: str, text: str, files: tuple[Attachment, ...]) -> str:
        outbox, told = _outbox(host), f"[{task}] {subject}"
        if not to:
            raise ToolError("agents.yaml names nobody to write to about this task.")
        for file in files:
            found = new_secret(host.redactor, file.name, b"", file.data)
            if found is not None:
                raise ToolError(f"{found}: it is not sent.")
        tell(*(f"{file.name}\n{as_text(file.data)}" for file in files))
        name = blake2b("\0".join((told, text)).encode("utf-8", "replace"), digest_size=8).hexdigest()
        letter = Letter(f"{task}.agent.{name}", to, host.redactor.clean(told), host.redactor.clean(text), "", files)
        with lock(host.state, "mail"):
            if not outbox.knows(letter.id) and outbox.count(f"{task}.agent.") >= MOST_OF_AGENTS:
                raise ToolError(f"{MOST_OF_AGENTS} letters about this task were sent: no more.")
            new = outbox.put(letter)
        return f"The letter goes to {', '.join(to)}." if new else "That letter was sent already; it is not sent again."

    return send


def _outbox(host: Host) -> Outbox:
    return Outbox(host.state / "mail")


def _id(state: TaskState, what: Happened) -> str:
    return f"{state.task.id}.{what.event}.{what.key[:20]}"


def _letter(host: Host, state: TaskState, what: Happened, to: tuple[str, ...], *, attach: bool) -> Letter:
    final = what.event == "finished" or (what.event == "needs-review" and state.is_last)
    files, left = _attachments(host, state, what) if attach and final else ((), ())
    facts = host.redactor.clean_struct(_facts(state, what, left))
    return Letter(_id(state, what), to, letters.subject(facts), letters.plain(facts), letters.html(facts), files)


def _facts(state: TaskState, what: Happened, left: tuple[str, ...]) -> Facts:
    task, entry = state.task.id, what.entry
    title = state.frozen.title if state.frozen else state.task.request.title
    lines = [("Task", task), ("Stage", str(what.stage)), ("Agent", f"{entry.agent} ({entry.model})")]
    lines += [("Branch", state.open.branch)] if state.open else []
    lines += [("Evidence", wording.gate_line(gate)) for gate in entry.gates if entry.hold is None]
    words = entry.hold.reason if entry.hold else ""
    return Facts(
        what.event, task, str(what.stage), wording.one_line(title), tuple(lines), words, _steps(task, what), left
    )


def _steps(task: str, what: Happened) -> tuple[str, ...]:
    by_event: dict[Event, tuple[str, ...]] = {
        "finished": (f"pullwright task show {task}",),
        "needs-review": (f"pullwright review {task} --approve", f'pullwright review {task} --comment "…"'),
        "needs-input": (f'pullwright answer {task} "…"',),
        "held": (f"pullwright task show {task}",),
        "failed": (f"pullwright retry {task}", f"pullwright assign {task} AGENT"),
    }
    return by_event[what.event]


def _attachments(host: Host, state: TaskState, what: Happened) -> tuple[tuple[Attachment, ...], tuple[str, ...]]:
    """The report and the files of `output/`, as Git has them; what is too large or holds a secret is named instead."""
    folder = f"{state.task.folder}/output"
    entries = [file for file in git.files(host.repo, what.commit, folder) if file.mode.startswith("100")]
    sizes = {file.path: int(git.git(host.repo, "cat-file", "-s", file.blob)) for file in entries}
    data = git.blobs(host.repo, [file.blob for file in entries if sizes[file.path] <= MOST_EACH])
    names = {path: named(path.removeprefix(f"{folder}/")) for path in sizes}
    clean = {
        file.path: Attachment(names[file.path], data[file.blob])
        for file in entries
        if file.blob in data and new_secret(host.redactor, file.path, b"", data[file.blob]) is None
    }
    taken, left = bounded((*_report(host, state, what), *clean.values()))
    return taken, (*left, *(host.redactor.clean(name) for path, name in names.items() if path not in clean))


def _report(host: Host, state: TaskState, what: Happened) -> tuple[Attachment, ...]:
    from runner.report import write_report  # reportlab is heavy

    try:
        path = write_report(host.site, state.task.id, what.commit)
    except (UserError, ToolError) as error:
        host.say(f"{state.task.id}  no report goes with the mail: {error}")
        return ()
    return (Attachment(f"{state.task.id}.pdf", path.read_bytes()),)
