"""What people said and sent to a task while a stage is at work: commands, and files of its discussion.

The hub is asked at most every 15 s (docs/design.md, rule 8). What a service of this host has fetched into the mirror
is heard before the very next step: a Git process that stays open is asked what the refs are now.
"""

from collections.abc import Callable

from runner import commands, git
from runner.claims.lease import Lease
from runner.commands import Command
from runner.loop.outcome import Said, Stopped
from runner.sight.pipes import Pipes
from runner.talk import discussions
from runner.talk.delivering import SEEN, deliver
from runner.talk.papers import reader
from runner.workspace import Workspace

MIRROR = "refs/remotes/hub/pullwright/"


class Ears:
    """Hears for one run of a stage, by a pipe to the mirror. `stops` says why the commands so far end it, or None."""

    def __init__(
        self, lease: Lease, space: Workspace, stops: Callable[[Lease, tuple[Command, ...]], str | None]
    ) -> None:
        self.lease, self.space, self.stops = lease, space, stops
        self.pipes = Pipes(lease.host.repo)
        self.commands, self.discussion = commands.ref_of(lease.ref.task), discussions.ref_of(lease.ref.task)
        self.heard: dict[str, str] = {}

    def close(self) -> None:
        """Hear no more."""
        self.pipes.close()

    def look(self) -> None:
        """Bring what the hub has. Raises `git.Unreachable`."""
        repo, url = self.lease.host.repo, self.lease.host.hub.url
        there = git.remote_refs(repo, url, self.commands, self.discussion)
        here = self._here()
        moved = [ref for ref, oid in there.items() if here.get(ref) != oid]
        if moved:
            git.fetch(repo, url, *(f"+{ref}:{_mirrored(ref)}" for ref in moved))

    def news(self) -> Stopped | list[Said]:
        """What is new in the mirror since this was asked last."""
        here = self._here()
        moved = {ref: oid for ref, oid in here.items() if self.heard.get(ref) != oid}
        self.heard = here
        said: list[Said] = []
        if (oid := moved.get(self.discussion)) is not None:
            said += self._files(oid)
        if (oid := moved.get(self.commands)) is not None:
            everything = commands.read(self.lease.host.repo, oid)
            reason = self.stops(self.lease, everything)
            if reason is not None:
                return Stopped(reason)
            new = self.lease.hear(everything)
            said += [Said(one.id, one.text) for one in new if one.verb in ("comment", "answer")]
        return said

    def _files(self, commit: str) -> list[Said]:
        host = self.lease.host
        read = reader(host.state, lambda: host.sandbox, host.redactor.clean)
        names = deliver(host.site, self.lease.ref.task, self.space, commit, read)
        told = "\n".join(f"- {SEEN}/{name}" for name in names)
        words = f"People sent files. You can read them here:\n{told}"
        return [Said(f"files: {' '.join(sorted(names))}", words)] if names else []

    def _here(self) -> dict[str, str]:
        """Ref on the hub → commit, as the mirror has it."""
        found = {ref: self.pipes.object(_mirrored(ref)) for ref in (self.commands, self.discussion)}
        return {ref: there[0] for ref, there in found.items() if there is not None}


def _mirrored(ref: str) -> str:
    return MIRROR + ref.removeprefix("refs/pullwright/")
