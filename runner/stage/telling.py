"""What an agent tells the world by its tools is looked at as one text, whichever tool and stage it is for."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from runner.claims.lease import Lease
from runner.secrets.ledger import Ledger
from runner.stage import outgoing
from runner.tools import GROUPS, Answer, Tool

OUTWARD = frozenset(
    {*(name for group in ("web", "mail", "github", "comment", "pdf") for name in GROUPS[group]), "python_install"}
    | {"note", "ask", "finish"}
)
"""Tools whose words leave this host as they are, or in a file that nobody can look into."""


def ledger(lease: Lease) -> Ledger:
    """What was said of a task so far, what its branch has pushed included."""
    since = [rev for rev in (lease.pending, lease.entry.base) if rev]
    return Ledger(
        lease.host.state,
        lease.ref.task,
        lease.host.redactor,
        lambda: outgoing.pushed(lease.host.repo, lease.head, since),
    )


def heard(lease: Lease, tools: Mapping[str, Tool]) -> dict[str, Tool]:
    """The tools, each of which first takes note of what leaves by it."""
    return {
        name: Tool(tool.spec, partial(_tell, lease, tool)) if name in OUTWARD else tool for name, tool in tools.items()
    }


def _tell(lease: Lease, tool: Tool, arguments: dict[str, Any]) -> Answer:
    ledger(lease).tell(*(value for value in arguments.values() if isinstance(value, str)))
    return tool.run(arguments)
