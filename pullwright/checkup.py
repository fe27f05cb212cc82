"""What this host, this repository and its agents need, looked at: one finding after the other, each with its remedy."""

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import msgspec

from pullwright.checkout import require_identity
from runner import backlog, git, wiring
from runner.agents import Agent, Settings, parse_settings
from runner.errors import UserError
from runner.host import Site, site_at
from runner.lifecycle import Stage
from runner.models import Abilities
from runner.observe import fetch_refs, read_settings
from runner.progress import Refs

Verdict = Literal["fine", "notice", "problem"]

TIGHT, SCARCE = 5 << 30, 1 << 30  # bytes free: below the first a notice, below the second a problem

_NOBODY = Settings(version=1, repository="", agents=())
"""Stands for the settings where there are none, so that the sandbox is looked at all the same."""


class Finding(msgspec.Struct, frozen=True):
    """What was looked at, how it is, and what a person can do about it.

    A `problem` must be mended before work goes on; a `notice` is worth a thought.
    """

    subject: str
    verdict: Verdict
    what: str
    remedy: str = ""


def examine(folder: Path) -> Iterator[Finding]:
    """Every finding about this host and the repository around `folder`, each as soon as it is known."""
    subject = "git"
    try:
        yield _git()
        subject = "repository"
        site = site_at(folder)
    except UserError as error:
        yield _problem(subject, error)
        yield from _tried("sandbox", lambda: _sandbox(_NOBODY))
        return
    yield _disk(site.state)
    yield from _person(site)
    yield from _repository(site)


def _repository(site: Site) -> Iterator[Finding]:
    """What the hub holds, and what follows from it."""
    settings, subject = _NOBODY, "hub"
    try:
        refs = fetch_refs(site)
        yield _hub(site, refs)
        subject = "agents.yaml"
        settings = read_settings(site.repo, refs.base)
    except UserError as error:
        yield _problem(subject, error)
    yield from _tried("sandbox", lambda: _sandbox(settings))
    if settings is not _NOBODY:
        yield from _tried("agents.yaml", lambda: _settings(site, settings))
        yield from _tasks(site, refs)
        yield from _tried("forge", lambda: _forge(site, settings))
        yield from _agents(site, settings)


# --- this host -------------------------------------------------------------------------------------------------------


def _git() -> Finding:
    git.require_git()
    version = git.git(None, "version").removeprefix("git version ")
    return Finding("git", "fine", version)


def _disk(state: Path) -> Finding:
    """The state's folder may not be there yet; what counts is the disk that it will lie on."""
    place = next(path for path in (state, *state.parents) if path.exists())
    return room(shutil.disk_usage(place).free, place)


def room(free: int, place: Path) -> Finding:
    """Pure: what so many free bytes mean for workspaces, fresh checkouts and their environments."""
    words = f"{free / (1 << 30):.1f} GiB free at {place}"
    if free >= TIGHT:
        return Finding("disk", "fine", words)
    remedy = "make room, or put the state elsewhere: export PULLWRIGHT_STATE=/a/larger/disk"
    return Finding("disk", "problem" if free < SCARCE else "notice", words, remedy)


def _sandbox(settings: Settings) -> Iterator[Finding]:
    """Whether commands can be contained, tried for real; and the level that records will name."""
    sandbox = wiring.sandbox(settings)
    sandbox.check()
    if os.environ.get("PULLWRIGHT_SANDBOX") == "external":
        remedy = "unset PULLWRIGHT_SANDBOX unless the whole host is disposable"
        yield Finding("sandbox", "notice", sandbox.level, remedy)
    else:
        yield Finding("sandbox", "fine", sandbox.level)


# --- this repository -------------------------------------------------------------------------------------------------


def _person(site: Site) -> Iterator[Finding]:
    """Who commits: needed for new tasks and approvals, not for a host that only runs."""
    try:
        require_identity(site.folder)
    except UserError as error:
        yield Finding("git", "notice", error.what, error.remedy)


def _hub(site: Site, refs: Refs) -> Finding:
    """The hub answered; whether it takes branches is asked by a push that is only tried."""
    trial = f"{refs.base}:refs/heads/agents/doctor/design"
    done = git.execute(site.repo, "push", "--dry-run", "--porcelain", site.hub.url, trial, network=True)
    place = "this repository itself" if site.hub.own else _public(site.hub.url)
    if done.returncode == 0:
        return Finding("hub", "fine", f"{place}, base branch {refs.base_name}")
    words = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
    what = f"{place} can be read, but takes no branches: {words[0]}"
    return Finding("hub", "problem", what, "ask for the right to push there, or check the key that git uses")


def _settings(site: Site, settings: Settings) -> Iterator[Finding]:
    """What base says counts; a file at hand that differs is not in force yet."""
    names = ", ".join(agent.name for agent in settings.agents)
    if not settings.checks:
        remedy = 'name the commands that must pass, as `checks: ["pytest -q"]`'
        yield Finding("agents.yaml", "notice", f"agents: {names}; no checks: nothing is run before a merge", remedy)
    else:
        yield Finding("agents.yaml", "fine", f"agents: {names}; checks: {'; '.join(settings.checks)}")
    at_hand = site.folder / "agents.yaml"
    if at_hand.is_file() and parse_settings(at_hand.read_bytes()) != settings:
        what = f"the agents.yaml at hand is not that of {settings.base}, which alone counts"
        yield Finding("agents.yaml", "notice", what, f"commit it, and push or merge it into {settings.base}")


def _tasks(site: Site, refs: Refs) -> Iterator[Finding]:
    """Task files that cannot be read: each is left out, and hides no other."""
    for problem in backlog.read(site.repo, refs.base).problems:
        yield Finding("tasks", "notice", f"{problem.path}: {problem.what}", problem.remedy)


def _forge(site: Site, settings: Settings) -> Iterator[Finding]:
    wiring.forge(site, settings)
    if settings.forge != "local":
        yield Finding("forge", "fine", f"{settings.forge}, with the credentials of the environment")


# --- its agents ------------------------------------------------------------------------------------------------------


def _agents(site: Site, settings: Settings) -> Iterator[Finding]:
    """Every agent's preflight, all at once: an endpoint that is down takes its time to say so."""
    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(lambda agent: list(_tried(agent.name, lambda: _agent(site, agent))), settings.agents):
            yield from answer
    yield from _reach(settings)


def _agent(site: Site, agent: Agent) -> Iterator[Finding]:
    abilities = wiring.model(agent, Stage.DESIGN, site.folder).check()
    yield judged(agent, abilities)


def judged(agent: Agent, abilities: Abilities) -> Finding:
    """Pure: what a preflight's answer means for an agent."""
    calls = "calls tools natively" if abilities.tools else "answers as JSON by schema"
    words = f"{agent.model} at {agent.endpoint}: a window of {abilities.context:,} tokens, {calls}"
    if agent.protocol == "native" and not abilities.tools:
        return Finding(agent.name, "problem", f"{agent.model} cannot call tools", "set `protocol: auto` for this agent")
    if abilities.context < agent.context:
        remedy = f"set `context: {abilities.context}` for this agent, or take a model with a larger window"
        return Finding(agent.name, "notice", f"{words}, less than its `context: {agent.context}`", remedy)
    return Finding(agent.name, "fine", words)


def _reach(settings: Settings) -> Iterator[Finding]:
    """A complexity that no agent takes holds every task that has it."""
    taken = {number for agent in settings.agents for number in range(agent.min_complexity, agent.max_complexity + 1)}
    missing = [str(number) for number in range(1, 11) if number not in taken]
    if str(settings.policy.default_complexity) in missing:
        what = f"no agent takes complexity {settings.policy.default_complexity}, which tasks have that name none"
        yield Finding("agents.yaml", "problem", what, "widen an agent's range, or change policy.default_complexity")
    elif missing:
        what = f"no agent takes complexity {', '.join(missing)}"
        yield Finding("agents.yaml", "notice", what, "widen an agent's range, or keep such tasks for people")


def _tried(subject: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What `look` finds; that it could not look is a finding too."""
    try:
        yield from look()
    except UserError as error:
        yield _problem(subject, error)


def _problem(subject: str, error: UserError) -> Finding:
    """What only a person can mend; it is about the settings where those are at fault."""
    about = "agents.yaml" if error.what.startswith("agents.yaml") else subject
    return Finding(about, "problem", _public(error.what), _public(error.remedy))


def _public(text: str) -> str:
    """Without the names and passwords that addresses may hold: what is printed here is pasted into issues."""
    return re.sub(r"//[^/@\s]*@", "//", text)
