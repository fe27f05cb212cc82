"""What answering needs of the outside world, and who answers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from runner import git, prompting
from runner.agents import Agent, Settings
from runner.errors import UserError
from runner.host import Site
from runner.models import Model
from runner.sandbox import Sandbox
from runner.secrets import Redactor

Role = Literal["talk", "draft"]
"""The prompts, and the names under which a scripted agent has its replies."""


@dataclass(frozen=True)
class Desk:
    """The repository, its settings on base, how to reach an agent's model. `base` is the head of the base branch.

    `sandbox` gives the one in which PDFs are read, or raises `UserError`.
    """

    site: Site
    settings: Settings
    base: str
    redactor: Redactor
    model: Callable[[Agent, Role], Model]
    now: Callable[[], datetime]
    sandbox: Callable[[], Sandbox]


def answerer(settings: Settings, wanted: Iterable[str | None], away: frozenset[str]) -> Agent:
    """Pure: the first agent of `wanted` that agents.yaml lists and nobody sent away, else the first that is there.

    Raises `UserError` when all are away.
    """
    there = {agent.name: agent for agent in settings.agents if agent.name not in away}
    if not there:
        raise UserError("every agent was sent away", "call one back: PUT /api/agents/NAME/status")
    return next((there[name] for name in wanted if name in there), next(iter(there.values())))


def prompt(desk: Desk, role: Role, fields: dict[str, str]) -> str:
    """The prompt for a role, with its fields filled in: the repository's own on base, or ours. Raises `UserError`."""
    path = f".pullwright/prompts/{role}.md"
    own = git.read(desk.site.repo, desk.base, path)
    template = own.decode("utf-8", "replace") if own else prompting.packaged(role)
    return prompting.fill(template, fields, path if own else f"{role}.md")
