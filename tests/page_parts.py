"""A service beside a repository with tasks in all kinds of places, some of whose words are hostile."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from repositories import DESIGN, Story, add_task, as_replies, at_home, bare_hub, git, project, settings, story
from scenes import Scene
from service.running import WRITE, Service, serving

ESCAPE = "\x1b[31mred\x1b[0m"
SCRIPT = "<script>window.hacked=1</script>"
EVIL = (
    f"{SCRIPT}<img src=x onerror=window.hacked=1><svg onload=window.hacked=1></svg>\n\n"
    "[link](javascript:window.hacked=1) [data](data:text/html,<script>1</script>) ![picture](http://evil.example/x.svg)"
    f" <a href='javascript:window.hacked=1'>a</a> [ref]\n\n[ref]: javascript:window.hacked=1\n\n{ESCAPE}\n\n"
    "<iframe srcdoc='<script>top.hacked=1</script>'></iframe><base href=//evil.example><style>*{display:none}</style>\n"
    "{{ 7 * 7 }} {% raw %}</textarea></pre></title>--></details>&lt;b&gt;\u202eright to left"
)
LONG = "x" * 5_000_000
AGENTS = [
    {
        "name": name, "model": model, "provider": "scripted", "endpoint": ".pullwright/replies.yaml", "concurrency": 9,
        "min_complexity": least, "max_complexity": most,
    }
    for name, model, least, most in (("gemma", "gemma3:4b", 1, 4), ("sonnet", "sonnet-5", 5, 10))
]  # fmt: skip


def hostile() -> Story:
    """A design that is made to do harm, and files of kinds that browsers run."""
    told = story("hostile")
    told["design"] = [
        ("write", {"path": "tasks/hostile/design.md", "content": DESIGN + EVIL}),
        ("write", {"path": "tasks/hostile/research/table.csv", "content": f'a,b\n"{SCRIPT}",=cmd()\n{ESCAPE},2\n'}),
        ("write", {"path": "tasks/hostile/research/page.html", "content": f"<!doctype html>{SCRIPT}"}),
        ("write", {"path": "tasks/hostile/research/drawing.svg", "content": f"<svg xmlns='x'>{SCRIPT}</svg>"}),
        ("finish", {"summary": f"{SCRIPT}{ESCAPE}"}),
    ]
    return told


@contextmanager
def at_many_places(top: Path, patch: pytest.MonkeyPatch) -> Iterator[tuple[Service, Path]]:
    """A service and the hub: a complete task, a design that waits, a question, a pause, one that waits for another."""
    at_home(top, patch)
    clone = project(top / "clone", agents=settings(*AGENTS, review={"build": "auto", "complete": "human"}))
    add_task(clone)
    add_task(clone, "asks", title="Which language?", complexity=6, priority=8)
    add_task(
        clone,
        "hostile",
        title=f"{SCRIPT} [31m",
        description=EVIL.replace(ESCAPE, "").replace("\u202e", ""),
        acceptance=[EVIL.splitlines()[0]],
    )
    add_task(clone, "later", title="Later", depends_on=["greet"], description="about zebras")
    add_task(clone, "rests", title="It rests", priority=1)
    hub = bare_hub(clone, top / "hub.git")
    scene = Scene(clone)
    scene.say("pause", "rests")
    for task, told in (("greet", story()), ("asks", asking()), ("hostile", hostile())):
        scene.replies(told)
        scene.run(task=task)
    scene.push_onto("agents/hostile/design", {"tasks/hostile/output/line.txt": f"{SCRIPT}{LONG}"})
    with serving(clone) as service:
        yield service, hub


def asking() -> Story:
    """An agent that asks at once."""
    return story("asks") | {"design": [("ask", {"question": f"English, or Latin? {SCRIPT}"})]}


def form(service: Service, path: str, **fields: str) -> Any:
    """What a browser sends when a form of one of our pages is sent."""
    headers = {"cookie": service.cookie(WRITE), "origin": service.url, "accept": "text/html"}
    return service.stranger.post(path, data=fields, headers=headers)


def said(hub: Path, task: str) -> list[str]:
    """The commands on a task's ref, oldest first, as JSON."""
    return git(hub, "log", "--reverse", "--format=%s", f"refs/pullwright/commands/tasks/{task}").splitlines()


__all__ = ["ESCAPE", "EVIL", "LONG", "SCRIPT", "as_replies", "asking", "at_many_places", "form", "said"]
