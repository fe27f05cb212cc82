"""The only file that names concrete forges, models and sandboxes. What they need of the environment is read here."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from runner import credentials
from runner.agents import Agent, Settings
from runner.errors import UserError
from runner.forge import Forge, Hosting
from runner.host import Host, Site
from runner.lifecycle import Stage
from runner.models import Model
from runner.notify import Server
from runner.sandbox import Cloning, Sandbox
from runner.secrets import Redactor, known_values
from runner.talk.desk import Desk, Role
from runner.web import Web

if TYPE_CHECKING:
    from runner.forge.github import GitHub


def host(site: Site, settings: Settings, say: Callable[[str], None]) -> Host:
    """A site with all that a turn needs. Raises `UserError` for what cannot be had here."""
    clean = redactor(site.hub.url, settings)
    box = sandbox(settings)
    made = Host(
        site=site,
        sandbox=box,
        forge=forge(site, settings),
        model=lambda agent, stage: model(agent, stage, site.folder),
        now=lambda: datetime.now(UTC),
        say=lambda line: say(clean.clean(line)),
        redactor=clean,
        web=web(site.state, box),
        mail=mail_server(settings),
        cloning=Cloning(_sandbox(("github.com",))),
    )
    if not made.forge.talks:
        return made
    from runner.attend import attend

    def listen() -> None:
        try:
            attend(made)
        except UserError as error:  # work goes on while the forge is away; the next turn hears what was missed
            say(str(error))

    return replace(made, listen=listen)


def desk(site: Site, settings: Settings, base: str) -> Desk:
    """What answering people needs; `base` is the head of the base branch."""
    return Desk(
        site=site,
        settings=settings,
        base=base,
        redactor=redactor(site.hub.url, settings),
        model=lambda agent, role: model(agent, role, site.folder),
        now=lambda: datetime.now(UTC),
        sandbox=lambda: _sandbox(()),
    )


def redactor(hub: str, settings: Settings) -> Redactor:
    """What takes this host's secrets out of all that is stored, printed, pushed or sent."""
    mail = settings.notifications.mail
    named = [agent.api_key for agent in settings.agents] + ([mail.user, mail.password] if mail else [])
    return Redactor(known_values(os.environ, filter(None, named), [hub]))


def web(state: Path, sandbox: Sandbox) -> Callable[[str], Web]:
    """Pages and searches by the name of the agent that gets them; nothing is asked of anybody before that."""
    from runner.web.fetching import CHARACTERS, Fetcher
    from runner.web.pace import Pace
    from runner.web.readable import markdown
    from runner.web.searching import searching

    pace = Pace(state / "web" / "pace")
    fetch = Fetcher(state / "web", partial(markdown, sandbox, CHARACTERS + 1), pace=pace).fetch
    return lambda agent: Web(search=searching(pace, agent), fetch=lambda url: fetch(url, agent))


def mail_server(settings: Settings) -> Server | None:
    """The mail server of agents.yaml with its credentials. Raises `UserError` when a variable is not set."""
    mail = settings.notifications.mail
    if mail is None:
        return None
    host, _, port = mail.server.partition(":")
    usual = {"tls": 465, "starttls": 587, "none": 25}[mail.security]
    user, password = (_variable(name, "notifications.mail") for name in (mail.user, mail.password))
    ca = os.environ.get("SSL_CERT_FILE", "")
    return Server(host, int(port or usual), mail.sender, mail.security, user, password, ca)


def sandbox(settings: Settings) -> Sandbox:
    """bubblewrap, unless the operator says in `PULLWRIGHT_SANDBOX` that the whole host is disposable."""
    return _sandbox(_registry_hosts(settings))


def _sandbox(hosts: tuple[str, ...]) -> Sandbox:
    """The same; `hosts` are those that its network `registry` reaches."""
    choice = os.environ.get("PULLWRIGHT_SANDBOX", "bubblewrap")
    if choice == "external":
        from runner.sandbox.external import External

        return External()
    if choice != "bubblewrap":
        raise UserError(f"PULLWRIGHT_SANDBOX is {choice!r}", "set it to bubblewrap or external, or leave it out")
    from runner.sandbox.bubblewrap import Bubblewrap

    return Bubblewrap(registry_hosts=hosts)


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


def hosting(site: Site, settings: Settings) -> Hosting | None:
    """What the hub's server does beyond Git for a service; None where it is nothing but Git."""
    if settings.forge != "github":
        return None
    from runner.forge.github_hosting import GitHubHosting

    found = github(site, settings)
    return GitHubHosting(found.client, found.proposals)


def github(site: Site, settings: Settings) -> "GitHub":
    """GitHub, with the credentials that the environment holds for the hub's server."""
    found = credentials.from_environment(site.hub.url)
    if found is None:
        raise UserError(
            f"agents.yaml says forge: github, and there is no token for {site.hub.url}",
            "set PULLWRIGHT_GITHUB_TOKEN, or PULLWRIGHT_GITHUB_APP_ID and _KEY (docs/github.md, Credentials)",
        )
    from runner.forge.github import GitHub

    return GitHub(found, settings.policy.identities, settings.policy.label, settings.policy.resolve_threads)


def model(agent: Agent, stage: Stage | Role, folder: Path) -> Model:
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
    return _variable(agent.api_key, f"agent {agent.name}")


def _variable(reference: str | None, whose: str) -> str:
    if reference is None:
        return ""
    name = reference.removeprefix("env:")
    value = os.environ.get(name, "")
    if not value:
        raise UserError(f"{whose}: the environment variable {name} is not set", f"export {name}=…")
    return value
