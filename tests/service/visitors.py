"""A whole story on GitHub with `serve` running and nothing else: people act there, and wait for what they see."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fake_github.hooks import SMOOTH, Chance, Hook
from fake_github.office import Office, Time, form, host_at
from fake_github.pulls import head_of
from fake_github.values import Pull
from repositories import clone
from repositories import git as typed

from runner import git
from runner.agents import Settings
from runner.forge import Hosting
from runner.forge.github import GitHub
from runner.forge.github_hosting import GitHubHosting
from runner.host import Host, Site
from service.running import SECRET, Service, serving, until
from webhook import store
from webhook.index import Index
from webhook.rows import COLUMNS

RUNNER = """
import argparse, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from fake_github.office import Time, host_at
from runner import worker
asked = argparse.ArgumentParser()
asked.add_argument("run")
asked.add_argument("--task")
asked.add_argument("--stage")
given = asked.parse_args()
list(worker.run(host_at(Path.cwd(), Time()), task=given.task, stage=given.stage))
"""
COMMAND = (sys.executable, "-c", RUNNER.format(tests=str(Path(__file__).parent.parent)))
"""`pullwright run`, to which GitHub's pauses cost no time."""
LONG = 90.0  # seconds that something may take on a slow machine


def wire(site: Site, settings: Settings, say: Callable[[str], None]) -> Host:
    return host_at(site.folder, Time())


def hosting(site: Site, settings: Settings) -> Hosting | None:
    forge = wire(site, settings, print).forge
    assert isinstance(forge, GitHub)
    return GitHubHosting(forge.client, forge.proposals)


@contextmanager
def hooked(office: Office, chance: Chance = SMOOTH, seed: int = 0, **more: Any) -> Iterator[Service]:
    """A service beside the office's clone, and a webhook that tells it what happens on GitHub."""
    given = {"dispatch": "local", "command": COMMAND, "poll": 3600.0, "sweep": 3600.0, "debounce": 0.05} | more
    with serving(office.clone, wire=wire, hosting=hosting, **given) as service:
        hook = office.world.hook = Hook(f"{service.url}/webhook", SECRET, chance, seed)
        try:
            yield service
        finally:
            office.world.hook = None
            hook.close()


def play(office: Office, service: Service, **given: str) -> None:
    """Label by a reader → by a maintainer → design → changes → rework → approve → … → complete → closed."""
    world = office.world
    world.user("tess", "triage")
    issue = office.issue(body=form(**given))
    office.label(issue.number, by="tess")
    seen(service, lambda: not world.issues[1].labels and "write access" in office.notes(1)[0], "a refusal")
    office.label(issue.number, by="mona")
    design = seen(service, lambda: ready(office, "design"), "a design")
    line = {"path": "tasks/issue-1/design.md", "line": 3, "hunk": "@@ -0,0 +1,3 @@\n+## Goal", "body": "Say why."}
    before = head_of(world, design)
    office.review(design.number, "CHANGES_REQUESTED", "Not yet.", lines=[line])
    seen(service, lambda: answered(office) and head_of(world, design) != before and ready(office, "design"), "a rework")
    office.review(design.number, "APPROVED")
    office.merge(design.number)
    last = seen(service, lambda: ready(office, "complete"), "a result")
    assert (last.base, "Fixes #1" in (world.issues[last.number].body or "")) == ("main", True)
    office.merge(last.number)
    seen(service, lambda: "**complete**" in office.notes(1)[0] and labelled(office, "pullwright:done"), "an end")
    assert world.issues[issue.number].state == "closed"


def work(office: Office) -> "subprocess.Popen[bytes]":
    """What a run of the workflow does: `pullwright run` on another machine."""
    there = office.folder / "elsewhere"
    if not there.exists():
        clone(office.world.git_dir, there)
        typed(there, "remote", "set-url", "origin", office.fake.clone_url)
    return subprocess.Popen([*COMMAND, "run"], cwd=there)


def seen(service: Service, look: Callable[[], Any], what: str) -> Any:
    """Wait until a person sees it."""
    found: list[Any] = []

    def there() -> bool:
        found[:] = [look()]
        return bool(found[0])

    until(there, (what, [line for line in service.log if line["what"] != "request"][-20:]), LONG)
    return found[0]


def ready(office: Office, stage: str) -> Pull | None:
    """The open pull request of a stage, once the gates have their verdicts at its head."""
    with office.world.lock:
        for pull in office.pulls():
            if pull.head.startswith(f"agents/issue-1/{stage}") and office.world.latest(head_of(office.world, pull)):
                return pull
    return None


def answered(office: Office) -> bool:
    return any("Taken up" in comment.body for comment in office.world.comments.values() if comment.reply_to)


def labelled(office: Office, name: str) -> bool:
    return name in office.world.issues[1].labels


# --- what is the same however deliveries went ----------------------------------------------------------------------

_VARIES = re.compile(
    r"[0-9a-f]{7,40}\b|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z|\b[0-9.]+ ?s\b|127.0.0.1:[0-9]+|[0-9a-f-]{36}"
)
TIMES = ("tokens", "seconds", "started", "finished", "claim", "host", "base", "gated", "since", "timestamp", "id")


def record(office: Office) -> dict[str, Any]:
    """What main holds of the task in the end."""
    folder = "tasks/issue-1"
    repo = git.Repo(office.world.git_dir)
    found = {file.path: git.read(repo, "main", file.path) for file in git.files(repo, "main", folder)}
    return {path: plain((data or b"").decode()) for path, data in found.items()}


def plain(text: str) -> str:
    """A text without what differs between any two runs."""
    lines = [re.sub(rf"\b({'|'.join(TIMES)})(\"?): ?[^,}}\n]*", r"\1\2: …", line) for line in text.splitlines()]
    return _VARIES.sub("…", "\n".join(lines))


LEFT_OUT = {
    "task_updates": {"id", "timestamp"},
    "tasks": {"created_at", "updated_at", "completed_at"},
    "stages": {"claim", "host", "base", "gated", "gates", "started", "finished", "tokens"},
    "agents": {"workspace_path", "created_at", "last_active"},
    "agent_workspaces": {"workspace_path", "venv_path", "created_at", "last_accessed", "host"},
}


def mirrored(path: Path) -> dict[str, list[str]]:
    """An index, row by row, without what differs between any two runs."""
    conn = store.connect(path, readonly=True)
    found = {}
    for table in COLUMNS:
        columns = [column for column in COLUMNS[table] if column not in LEFT_OUT.get(table, ())]
        rows = conn.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
        found[table] = sorted(plain(repr(row)) for row in rows)
    conn.close()
    return found


def rebuilt(service: Service) -> list[str]:
    """What differs between the live index and one made anew."""
    site = service.front.options.site
    index = Index(service.front.options.index, site)
    try:
        refs = service.front.inner.state.room.keeper.ask(lambda index, refs: refs)
        return index.verify(refs)
    finally:
        index.close()
