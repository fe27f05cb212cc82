"""`pullwright prompt show`: what a model is told first."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from runner import briefing, prompting, wiring
from runner.agents import Agent, Settings
from runner.claims.freezing import freeze
from runner.errors import UserError
from runner.host import Site, site_at
from runner.lifecycle import STAGES, Stage
from runner.loop.window import Window
from runner.models import Abilities, Message, Model, Request, ToolSpec
from runner.models.wire import characters, estimated_tokens
from runner.observe import View, observe
from runner.protocols import PROTOCOLS
from runner.protocols.choice import choose
from runner.protocols.preflight import memory_of
from runner.record import Request as Task
from runner.stage.reaching import withheld
from runner.tools import TOOLS, describe, most, offered
from runner.tools.text import plain

EXAMPLE = Task(
    title="Login fails for names with a dot",
    body="`GET /login/a.b` answers 404 instead of logging the user a.b in.",
    sha256="0" * 64,
    accepted_by="you",
    source="tasks/fix-login.yaml",
    complexity=3,
    complexity_reason="the task names it",
    stages=STAGES,
    acceptance=("GET /login/a.b answers 200",),
)
"""What prompts are shown with where no task is named."""


class Work(NamedTuple):
    """A task as a stage finds it: its text, its record's folder, the commit of the work and that of base."""

    request: Task
    folder: str
    head: str
    base: str


def show_prompt(folder: Path, stage: str, agent: str, task: str | None, as_json: bool) -> None:
    """Print the first request of a stage as the agent's model would get it, with counts of tokens."""
    if stage not in STAGES:
        raise UserError(f"there is no stage {stage}", f"the stages are {', '.join(STAGES)}")
    site = site_at(folder)
    view = observe(site)
    who = _agent(view.settings, agent)
    work = _work(view, Stage(stage), task)
    protocol, context, note = _protocol(site, who, Stage(stage))
    opening, specs = question(site, view.settings, Stage(stage), who, work, context)
    output = Window(context, who.max_output).output
    request = PROTOCOLS[protocol].request(opening, specs, max_tokens=output, temperature=0.1, turn=0)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(request), indent=2, ensure_ascii=False))
        return
    documents = briefing.documents(site.repo, work.head, work.folder)
    seeds = [seed.call for seed in prompting.seeds(documents, work.request)]
    click.echo("\n".join(_lines(request)))
    for call in seeds:
        given = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items())
        click.echo(f"── then the runner takes this turn itself, and shows it: {call.name}({given})")
    whole = estimated_tokens(characters(request) + len(json.dumps(request.schema or "")))
    click.echo(
        f"── {who.name} ({who.model}), {protocol}: some {whole} of {context} tokens, {output} for the reply{note}"
    )


def question(
    site: Site, settings: Settings, stage: Stage, agent: Agent, work: Work, context: int
) -> tuple[tuple[Message, ...], tuple[ToolSpec, ...]]:
    """What a stage of this work begins with, in a window of `context` tokens: the first messages, and the tools."""
    names = offered(stage, agent.tools, withheld(settings), most(context))
    opening = briefing.opening(site.repo, settings, stage, *work[:2], head=work.head, base=work.base, context=context)
    return opening, tuple(describe(TOOLS[name]) for name in names)


def example(base: str) -> Work:
    """The task that prompts are shown with where none is named, at a commit."""
    return Work(EXAMPLE, "tasks/fix-login", base, base)


def _agent(settings: Settings, name: str) -> Agent:
    found = next((agent for agent in settings.agents if agent.name == name), None)
    if found is None:
        names = ", ".join(agent.name for agent in settings.agents)
        raise UserError(f"there is no agent {name}", f"agents.yaml has {names}")
    return found


def _work(view: View, stage: Stage, task: str | None) -> Work:
    if task is None:
        return example(view.refs.base)
    state = view.state(task)
    request = state.frozen or freeze(state.task, "unknown", view.settings.policy, state.judged)
    opened = state.open if state.open is not None and state.open.ref.stage is stage else None
    head = opened.head if opened else state.work or state.base
    return Work(request, state.task.folder, head, opened.entry.base if opened else state.base)


def _protocol(site: Site, agent: Agent, stage: Stage) -> tuple[str, int, str]:
    """The protocol and window that a run would begin with, and what a reader has to know of that."""
    try:
        model: Model = wiring.model(agent, stage, site.folder)
        abilities = model.check()
        tried = memory_of(site.state).recall(model.identity())
        note = ""
    except UserError:
        abilities, tried = Abilities(agent.context, tools=True), None
        note = "; the model cannot be asked now, this is what its name and its entry say"
    chosen = choose(agent.protocol, abilities, agent.model)
    if chosen == "native" and agent.protocol == "auto" and agent.provider == "ollama":
        if tried is None:
            note += "; native calls are tried first, and json is taken where they fail"
        chosen = tried or chosen
    return chosen, min(agent.context, abilities.context), note


def _lines(request: Request) -> Iterator[str]:
    for message in request.messages:
        yield f"── {message.role}, some {_tokens(message)} tokens\n{plain(message.text)}\n"
    if request.tools:
        told = json.dumps([msgspec.to_builtins(tool) for tool in request.tools], indent=2, ensure_ascii=False)
        yield f"── tools, some {estimated_tokens(len(told))} tokens\n{told}\n"
    if request.schema is not None:
        told = json.dumps(request.schema, ensure_ascii=False)
        yield f"── the reply is held to this schema, which the model does not see\n{told}\n"


def _tokens(message: Message) -> int:
    return estimated_tokens(len(message.text))
