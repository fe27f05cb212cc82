"""What an agent's tools may reach beyond its workspace: its `tools:` and the policy together say so."""

from functools import partial
from hashlib import blake2b
from typing import Any

from runner.agents import Settings
from runner.claims.lease import Lease
from runner.mailing import post
from runner.people import letters
from runner.stage.telling import ledger
from runner.tools import GROUPS, Reach
from runner.web import Page


def withheld(settings: Settings) -> frozenset[str]:
    """The names of tools that this repository's settings allow nobody to have. Pure."""
    policy = settings.policy
    closed = {name for group in ("web", "mail", "github", "comment") if group not in policy.egress
              for name in GROUPS[group]}  # fmt: skip
    closed |= {"python_install"} if policy.network == "none" else set()
    return frozenset(closed | ({"github_read", "issue_comment"} if settings.forge == "local" else set()))


def reach(lease: Lease) -> Reach:
    """What the runner does outside of the sandbox for the agent of a stage."""
    host, policy = lease.host, lease.settings.policy
    open_ = {group for group in lease.agent.tools if group in policy.egress}
    github = "github" in open_
    return Reach(
        web=host.web(lease.agent.name) if "web" in open_ and host.web is not None else None,
        github=partial(_read, lease) if github else None,
        comment=partial(_comment, lease) if "comment" in open_ else None,
        cloning=host.cloning if github else None,
        wheels=host.state / "wheels" if "python" in lease.agent.tools and policy.network != "none" else None,
        mail=post(lease, ledger(lease).tell) if "mail" in open_ else None,
    )


def _read(lease: Lease, subject: Any, which: str) -> Page:
    return lease.host.forge.read(subject, which, lease.branch)


def _comment(lease: Lease, text: str) -> str:
    """The same words are the same comment, however often they are said."""
    clean = lease.host.redactor.clean(text)
    key = blake2b(f"{lease.ref.task}\0{clean}".encode("utf-8", "replace"), digest_size=6).hexdigest()
    return lease.host.forge.comment(lease.ref.task, key, letters.aside(lease.agent.name, clean))
