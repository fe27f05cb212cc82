"""What an agent can do. One file a tool; a tool is a function whose signature and docstring are its schema."""

from collections.abc import Callable, Container, Iterable

from runner.lifecycle import Stage
from runner.tools.ask import ask
from runner.tools.bash import bash
from runner.tools.edit import edit
from runner.tools.finish import finish
from runner.tools.github_clone import github_clone
from runner.tools.github_read import github_read
from runner.tools.issue_comment import issue_comment
from runner.tools.mail_send import mail_send
from runner.tools.note import note
from runner.tools.pdf_write import pdf_write
from runner.tools.progress import progress
from runner.tools.python_install import python_install
from runner.tools.python_run import python_run
from runner.tools.schema import bind, describe
from runner.tools.search import search
from runner.tools.view import view
from runner.tools.web_fetch import web_fetch
from runner.tools.web_search import web_search
from runner.tools.work import (
    Answer,
    Ask,
    Body,
    Finish,
    Journal,
    Observation,
    Reach,
    Tool,
    Work,
    observation_cap,
)
from runner.tools.write import write

TOOLS: dict[str, Callable[..., Answer]] = {
    "bash": bash,
    "view": view,
    "search": search,
    "write": write,
    "edit": edit,
    "python_run": python_run,
    "python_install": python_install,
    "web_search": web_search,
    "web_fetch": web_fetch,
    "github_read": github_read,
    "github_clone": github_clone,
    "issue_comment": issue_comment,
    "pdf_write": pdf_write,
    "mail_send": mail_send,
    "progress": progress,
    "note": note,
    "ask": ask,
    "finish": finish,
}

MOST = 5
"""Tools offered at a time: small models choose badly among more (docs/models.md R14)."""
LARGE, MOST_OF_LARGE = 32768, 9
"""A window of so many tokens is that of a model which can choose among more."""

STAGE_TOOLS: dict[Stage, tuple[str, ...]] = {
    Stage.DESIGN: ("view", "search", "write", "ask", "finish"),
    Stage.BUILD: ("bash", "view", "write", "edit", "finish"),
    Stage.TEST: ("bash", "view", "write", "edit", "finish"),
    Stage.REVIEW: ("bash", "view", "write", "edit", "finish"),
    Stage.COMPLETE: ("bash", "write", "progress", "note", "finish"),
}

STAGE_EXTRAS: dict[Stage, tuple[str, ...]] = {
    Stage.DESIGN: ("web_search", "web_fetch", "github_read", "github_clone", "issue_comment"),
    Stage.BUILD: ("python_run", "python_install", "web_fetch", "pdf_write", "github_read", "github_clone"),
    Stage.TEST: ("python_run", "python_install", "github_read"),
    Stage.REVIEW: ("python_run", "web_fetch", "github_read", "issue_comment"),
    Stage.COMPLETE: ("pdf_write", "mail_send", "python_run", "issue_comment"),
}
"""What an agent is offered beside that where its `tools:` name it: the first few, in place of what is dispensable."""

BASIC = 3
"""So many places among the offered remain for the stage's own tools."""
DISPENSABLE = ("progress", "note", "search", "ask", "edit", "view", "bash")
"""What gives way first when there are more than five: a terminal does most of it too."""

GROUPS: dict[str, tuple[str, ...]] = {
    "bash": ("bash",),
    "files": ("view", "search", "write", "edit"),
    "python": ("python_run", "python_install"),
    "web": ("web_search", "web_fetch"),
    "pdf": ("pdf_write",),
    "mail": ("mail_send",),
    "github": ("github_read", "github_clone"),
    "comment": ("issue_comment",),
}
"""The words of an agent's `tools:` that name tools which it otherwise lacks; the rest belongs to every agent."""


def most(context: int) -> int:
    """How many tools a model with a window of `context` tokens is offered. Pure."""
    return MOST_OF_LARGE if context >= LARGE else MOST


def offered(stage: Stage, groups: Iterable[str], without: Container[str] = (), most: int = MOST) -> tuple[str, ...]:
    """The names of the tools that an agent with these `tools:` gets in a stage, but those in `without`. Pure.

    Without `bash` an agent still has to look around: the reading tools take its place.
    """
    allowed = {name for group in groups for name in GROUPS.get(group, ())}
    granted = allowed | (TOOLS.keys() - {name for names in GROUPS.values() for name in names})
    granted -= {name for name in granted if name in without}
    extras = [name for name in STAGE_EXTRAS[stage] if name in granted][: most - BASIC]
    chosen = [name for name in STAGE_TOOLS[stage] if name in granted]
    spare = [] if "bash" in granted else [name for name in ("view", "search") if name in granted - set(chosen)]
    base = [*spare[: MOST - len(chosen)], *chosen]
    for name in DISPENSABLE:
        if len(base) + len(extras) > most and name in base:
            base.remove(name)
    return (*base[:-1], *extras, base[-1])


def toolbox(names: Iterable[str], work: Work) -> dict[str, Tool]:
    """The named tools, ready to run on one task's work."""
    return {name: bind(TOOLS[name], work) for name in names}


__all__ = [
    "LARGE",
    "MOST",
    "MOST_OF_LARGE",
    "STAGE_EXTRAS",
    "STAGE_TOOLS",
    "TOOLS",
    "Answer",
    "Ask",
    "Body",
    "Finish",
    "Journal",
    "Observation",
    "Reach",
    "Tool",
    "Work",
    "describe",
    "most",
    "observation_cap",
    "offered",
    "toolbox",
]
