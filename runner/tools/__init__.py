"""What an agent can do. One file a tool; a tool is a function whose signature and docstring are its schema."""

from collections.abc import Callable, Iterable

from runner.lifecycle import Stage
from runner.tools.ask import ask
from runner.tools.bash import bash
from runner.tools.edit import edit
from runner.tools.finish import finish
from runner.tools.note import note
from runner.tools.progress import progress
from runner.tools.schema import bind, describe
from runner.tools.search import search
from runner.tools.view import view
from runner.tools.work import Answer, Ask, Body, Finish, Journal, Observation, Tool, Work, observation_cap
from runner.tools.write import write

TOOLS: dict[str, Callable[..., Answer]] = {
    "bash": bash,
    "view": view,
    "search": search,
    "write": write,
    "edit": edit,
    "progress": progress,
    "note": note,
    "ask": ask,
    "finish": finish,
}

MOST = 5
"""Tools offered at a time: small models choose badly among more (docs/models.md R14)."""

STAGE_TOOLS: dict[Stage, tuple[str, ...]] = {
    Stage.DESIGN: ("view", "search", "write", "ask", "finish"),
    Stage.BUILD: ("bash", "view", "write", "edit", "finish"),
    Stage.TEST: ("bash", "view", "write", "edit", "finish"),
    Stage.REVIEW: ("bash", "view", "write", "edit", "finish"),
    Stage.COMPLETE: ("bash", "write", "progress", "note", "finish"),
}

GROUPS: dict[str, tuple[str, ...]] = {"bash": ("bash",), "files": ("view", "search", "write", "edit")}
"""The words of an agent's `tools:` that name tools which it otherwise lacks; the rest belongs to every agent."""


def offered(stage: Stage, groups: Iterable[str]) -> tuple[str, ...]:
    """The names of the tools that an agent with these `tools:` gets in a stage. Pure.

    Without `bash` an agent still has to look around: the reading tools take its place.
    """
    allowed = {name for group in groups for name in GROUPS.get(group, ())}
    granted = allowed | (TOOLS.keys() - {name for names in GROUPS.values() for name in names})
    chosen = [name for name in STAGE_TOOLS[stage] if name in granted]
    spare = [] if "bash" in granted else [name for name in ("view", "search") if name in granted - set(chosen)]
    return (*spare[: MOST - len(chosen)], *chosen)


def toolbox(names: Iterable[str], work: Work) -> dict[str, Tool]:
    """The named tools, ready to run on one task's work."""
    return {name: bind(TOOLS[name], work) for name in names}


__all__ = [
    "MOST",
    "STAGE_TOOLS",
    "TOOLS",
    "Answer",
    "Ask",
    "Body",
    "Finish",
    "Journal",
    "Observation",
    "Tool",
    "Work",
    "describe",
    "observation_cap",
    "offered",
    "toolbox",
]
