"""What this host, this repository and its agents need, looked at: one finding after the other, each with its remedy."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pullwright.checkout import require_identity
from pullwright.finding import Finding, problem, tried
from pullwright.preflight import agents
from runner import backlog, git, wiring
from runner.agents import Settings, parse_settings
from runner.errors import UserError
from runner.host import Site, site_at
from runner.notify.smtp import reach
from runner.observe import fetch_refs, read_settings
from runner.progress import Refs

TIGHT, SCARCE = 5 << 30, 1 << 30  # bytes free: below the first a notice, below the second a problem
PATIENCE = 10.0  # seconds for an answer of a mail server

_NOBODY = Settings(version=1, repository="", agents=())
"""Stands for the settings where there are none, so that the sandbox is looked at all the same."""


def examine(folder: Path, *, load: bool = False) -> Iterator[Finding]:
    """Every finding about this host and the repository around `folder`, each as soon as it is known.

    With `load` each model is loaded as a stage would, and its tool calls are tried with a stage's own prompt, which
    takes its time and shows the window that it really gets.
    """
    subject = "git"
    try:
        yield _git()
        subject = "repository"
        site = site_at(folder)
    except UserError as error:
        yield problem(subject, error)
        yield from tried("sandbox", lambda: _sandbox(_NOBODY))
        return
    yield _disk(site.state)
    yield from _person(site)
    yield from _repository(site, load)


def _repository(site: Site, load: bool) -> Iterator[Finding]:
    """What the hub holds, and what follows from it."""
    settings, subject = _NOBODY, "hub"
    try:
        refs = fetch_refs(site)
        yield _hub(site, refs)
        subject = "agents.yaml"
        settings = read_settings(site.repo, refs.base)
    except UserError as error:
        yield problem(subject, error)
    yield from tried("sandbox", lambda: _sandbox(settings))
    if settings is not _NOBODY:
        yield from tried("agents.yaml", lambda: _settings(site, settings))
        yield from _tasks(site, refs)
        yield from tried("forge", lambda: _forge(site, settings))
        yield from tried("mail", lambda: _mail(settings))
        yield from agents(site, settings, refs.base, load)


# --- this host -------------------------------------------------------------------------------------------------------


def _git() -> Finding:
    git.require_git()
    version = git.git(None, "version").removeprefix("git version ")
    return Finding("git", "fine", version)


def _disk(state: Path) -> Finding:
    """The state's folder may not be there yet; what counts is the disk that it will lie on."""
    place = next(path for path in (state, *state.parents) if path.exists())
    if not os.access(place, os.W_OK):
        remedy = "let it, or put the state elsewhere: export PULLWRIGHT_STATE=/a/folder/of/yours"
        return Finding("disk", "problem", f"this account may not write into {place}", remedy)
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
    place = "this repository itself" if site.hub.own else git.public(site.hub.url)
    try:
        done = git.execute(site.repo, "push", "--dry-run", "--porcelain", site.hub.url, trial, network=True)
    except git.TooLong as error:
        return Finding(
            "hub", "problem", f"{place} can be read, but a push has no answer: {error.stderr}", git.Silent.WAY_OUT
        )
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
    for one in backlog.read(site.repo, refs.base).problems:
        yield Finding("tasks", "notice", f"{one.path}: {one.what}", one.remedy)


def _mail(settings: Settings) -> Iterator[Finding]:
    """The server that letters go to: it is called, and nothing is sent. Letters wait for one that is away."""
    server = wiring.mail_server(settings)
    if server is None:
        return
    place, fault = f"{server.host}:{server.port}", reach(server, PATIENCE)
    if fault:
        remedy = "letters wait until it answers; look at `notifications.mail` in agents.yaml"
        yield Finding("mail", "notice", f"{place} cannot be used now: {fault}", remedy)
    else:
        yield Finding("mail", "fine", f"{place}, from {server.sender}")


def _forge(site: Site, settings: Settings) -> Iterator[Finding]:
    wiring.forge(site, settings)
    if settings.forge == "github":
        from pullwright.github.checkup import findings

        yield from findings(site)
