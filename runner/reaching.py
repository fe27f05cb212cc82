"""What an agent's tools may reach beyond its workspace: its `tools:` and the policy together say so."""

from runner.agents import Policy
from runner.lease import Lease
from runner.mailing import post
from runner.tools import GROUPS, Reach


def withheld(policy: Policy) -> frozenset[str]:
    """The names of tools that this policy allows nobody to have. Pure."""
    closed = {name for group in ("web", "mail") if group not in policy.egress for name in GROUPS[group]}
    return frozenset(closed | ({"python_install"} if policy.network == "none" else set()))


def reach(lease: Lease) -> Reach:
    """What the runner does outside of the sandbox for the agent of a stage."""
    host, groups, policy = lease.host, lease.agent.tools, lease.settings.policy
    return Reach(
        web=host.web if "web" in groups and "web" in policy.egress else None,
        wheels=host.state / "wheels" if "python" in groups and policy.network != "none" else None,
        mail=post(lease) if "mail" in groups and "mail" in policy.egress else None,
    )
