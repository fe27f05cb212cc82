"""Whether the agents can work: endpoints, models, windows, tool calls, and who takes which complexity."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from pullwright.finding import Finding, tried
from pullwright.inspecting import example, question
from runner import wiring
from runner.agents import Agent, Settings
from runner.host import Site
from runner.lifecycle import Stage
from runner.models import Abilities, Model, ModelError
from runner.protocols.preflight import memory_of, settle


def agents(site: Site, settings: Settings, base: str, load: bool) -> Iterator[Finding]:
    """Every agent's preflight, all at once: an endpoint that is down takes its time to say so.

    With `load` each model is loaded, and one that claims tool calls is asked what a stage on the commit `base` begins
    with, unless an earlier answer is remembered.
    """

    def one(agent: Agent) -> list[Finding]:
        return list(tried(agent.name, lambda: _agent(site, settings, agent, base if load else None)))

    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(one, settings.agents):
            yield from answer
    yield from reach(settings)


def _agent(site: Site, settings: Settings, agent: Agent, base: str | None) -> Iterator[Finding]:
    """What the model can do, and whether a stage's first question has shown its tool calls to work."""
    model = wiring.model(agent, Stage.DESIGN, site.folder)
    try:
        abilities = model.check() if base is None else _loaded(site, settings, agent, model, base)
    except ModelError as error:
        yield Finding(agent.name, "problem", str(error), "try again when the server has time, or look at its log")
        return
    yield judged(agent, abilities, memory_of(site.state).recall(model.identity()))


def _loaded(site: Site, settings: Settings, agent: Agent, model: Model, base: str) -> Abilities:
    """What the model can do once it is in memory; whether it calls tools is tried and remembered."""
    abilities = model.load()
    context = min(agent.context, abilities.context)
    asked = question(site, settings, Stage.DESIGN, agent, example(base), context)
    settle(agent.protocol, abilities, model, asked, memory_of(site.state))
    return abilities


def judged(agent: Agent, abilities: Abilities, shown: str | None = None) -> Finding:
    """Pure: what a preflight's answer means for an agent; `shown` is the protocol that a real question came to."""
    if agent.protocol == "native" and not abilities.tools:
        return Finding(agent.name, "problem", f"{agent.model} cannot call tools", "set `protocol: auto` for this agent")
    words = f"{agent.model} at {agent.endpoint}: a window of {abilities.context:,} tokens, {_calls(abilities, shown)}"
    if abilities.context < agent.context:
        remedy = f"set `context: {abilities.context}` for this agent, or take a model with a larger window"
        return Finding(agent.name, "notice", f"{words}; its `context` is {agent.context:,}. {abilities.note}", remedy)
    return Finding(agent.name, "notice" if abilities.note else "fine", f"{words}. {abilities.note}".rstrip(". "))


def _calls(abilities: Abilities, shown: str | None) -> str:
    if not abilities.tools:
        return "answers as JSON by schema"
    if shown == "json":
        return "says that it calls tools but did not when tried: answers as JSON by schema"
    return "calls tools" + (", as tried" if shown == "native" else " by its own account")


def reach(settings: Settings) -> Iterator[Finding]:
    """A complexity that no agent takes holds every task that has it."""
    taken = {number for agent in settings.agents for number in range(agent.min_complexity, agent.max_complexity + 1)}
    missing = [str(number) for number in range(1, 11) if number not in taken]
    if str(settings.policy.default_complexity) in missing:
        what = f"no agent takes complexity {settings.policy.default_complexity}, which tasks have that name none"
        yield Finding("agents.yaml", "problem", what, "widen an agent's range, or change policy.default_complexity")
    elif missing:
        what = f"no agent takes complexity {', '.join(missing)}"
        yield Finding("agents.yaml", "notice", what, "widen an agent's range, or keep such tasks for people")
