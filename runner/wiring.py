"""The only file that names concrete forges, models and sandboxes. What they need of the environment is read here."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from runner import credentials
from runner.agents import Agent, Settings
from runner.errors import UserError
from runner.forge import Forge
from runner.host import Host, Site
from runner.lifecycle import Stage
from runner.models import Model
from runner.observe import observe
from runner.sandbox import Sandbox
from runner.secrets import Redactor, known_values


def host(site: Site, settings: Settings, say: Callable[[str], None]) -> Host:
    """A site with all that a turn needs. Raises `UserError` for what cannot be had here."""
    clean = redactor(site.hub.url, settings)
    made = Host(
        site=site,
        sandbox=sandbox(settings),
        forge=forge(site, settings),
        model=lambda agent, stage: model(agent, stage, site.folder),
        now=lambda: datetime.now(UTC),
        say=lambda line: say(clean.clean(line)),
        redactor=clean,
    )
    if not made.forge.talks:
        return made
    from runner.attend import attend

    def listen() -> None:
        try:
            attend(made, observe(site))
        except UserError as error:  # work goes on while the forge is away; the next turn hears what was missed
            say(str(error))

    return replace(made, listen=listen)


def redactor(hub: str, settings: Settings) -> Redactor:
    """What takes this host's secrets out of all that is stored, printed, pushed or sent."""
    named = [agent.api_key for agent in settings.agents if agent.api_key]
    return Redactor(known_values(os.environ, named, [hub]))


def sandbox(settings: Settings) -> Sandbox:
    """bubblewrap, unless the operator says in `PULLWRIGHT_SANDBOX` that the whole host is disposable."""
    choice = os.environ.get("PULLWRIGHT_SANDBOX", "bubblewrap")
    if choice == "external":
        from runner.sandbox.external import External

        return External()
    if choice != "bubblewrap":
        raise UserError(f"PULLWRIGHT_SANDBOX is {choice!r}", "set it to bubblewrap or external, or leave it out")
    from runner.sandbox.bubblewrap import Bubblewrap

    return Bubblewrap(registry_hosts=_registry_hosts(settings))


def _registry_hosts(settings: Settings) -> tuple[str, ...]:
    """The package hosts: those that the policy names, else those that pip is configured for on this host."""
    if settings.policy.registry or not settings.setup:
        return settings.policy.registry
    from runner.sandbox.indexes import configured_registry_hosts

    return configured_registry_hosts()


def forge(site: Site, settings: Settings) -> Forge:
    """Where proposals live."""
    if settings.forge == "github":
        return github(site, settings)
    from runner.forge.local import Local

    return Local(site.repo, site.hub.url, site.hub.own)


def github(site: Site, settings: Settings) -> Forge:
    """GitHub, with the credentials that the environment holds for the hub's server."""
    found = credentials.from_environment(site.hub.url)
    if found is None:
        raise UserError(
            f"agents.yaml says forge: github, and there is no token for {site.hub.url}",
            "set PULLWRIGHT_GITHUB_TOKEN, or PULLWRIGHT_GITHUB_APP_ID and _KEY (docs/github.md, Credentials)",
        )
    from runner.forge.github import GitHub

    return GitHub(found, settings.policy.identities, settings.policy.label)


def model(agent: Agent, stage: Stage, folder: Path) -> Model:
    """The model behind an agent. `folder` is where a scripted agent's file of replies is looked for."""
    if agent.provider == "scripted":
        from runner.models.scripted import Scripted

        return Scripted(folder / agent.endpoint, stage)
    if agent.provider == "ollama":
        from runner.models.ollama import Ollama

        return Ollama(agent.model, agent.endpoint, agent.context, agent.max_output)
    from runner.models.openai import OpenAI

    return OpenAI(
        agent.model,
        agent.endpoint,
        agent.context,
        agent.max_output,
        api_key=_key(agent),
        key_name=agent.api_key or "",
        routing=msgspec.to_builtins(agent.routing),
    )


def _key(agent: Agent) -> str:
    """The value that `api_key: env:NAME` names. Raises `UserError` when the variable is not set."""
    if agent.api_key is None:
        return ""
    name = agent.api_key.removeprefix("env:")
    value = os.environ.get(name, "")
    if not value:
        raise UserError(f"agent {agent.name}: the environment variable {name} is not set", f"export {name}=…")
    return value
