"""What happens around each step of the loop: people are heard, the lease is renewed, the work is kept."""

from collections.abc import Callable

from runner import commands, git, workspace
from runner.agents import lease_seconds
from runner.claims import Lost
from runner.claims.lease import Lease
from runner.claims.pulse import again_after, renew_after
from runner.commands import Command
from runner.errors import ToolError
from runner.loop.dialogue import Said, Stopped
from runner.loop.trajectory import Ran, Trajectory
from runner.stage import publish
from runner.stage.listening import Ears
from runner.tools import Journal
from runner.workspace import Workspace

# Tools after which the workspace may differ.
CHANGING = (
    "bash", "write", "edit", "python_run", "python_install", "pdf_write", "web_fetch", "github_read", "github_clone",
)  # fmt: skip
PAUSE = 10
"""Steps without a look at the files after one that took too long."""
LOOK_EVERY = 15.0  # seconds between two looks at the hub for commands (docs/design.md, rule 8)


class Hooks:
    """The loop's two hooks for one run of a stage. `feedback` is told to the agent before its first step."""

    def __init__(
        self, lease: Lease, space: Workspace, trajectory: Trajectory, feedback: str, remember: Callable[[], None]
    ) -> None:
        self.lease = lease
        self.space = space
        self.trajectory = trajectory
        self.feedback = feedback
        self.remember = remember
        self.ears = Ears(lease, space, reason_to_stop)
        self.looked = lease.clock()
        self.not_before = self.looked
        self.pause = 0

    def close(self) -> None:
        """The run is over."""
        self.ears.close()

    def before(self) -> Stopped | tuple[Said, ...]:
        """What people said since the last step, remotely at most every 15 s; and the lease, when its time has come.

        A hub that gives no answer does not stop the work, until our lease may have gone to somebody else.
        """
        said, began = list[Said](), self.lease.clock()
        if self.feedback and self.lease.entry.claim not in self.trajectory.heard:
            said.append(Said(self.lease.entry.claim, self.feedback))
        lost = None
        try:
            heard = self._hear()
            if isinstance(heard, Stopped):
                return heard
            said += heard
            renew = renew_after(lease_seconds(self.lease.settings.policy), 0.25)
            lost = self._renew() if self._due(self.lease.pushed, renew) else None
        except git.Unreachable as error:
            lost = self._away(error, began)  # what was heard before it was away is told all the same
        return Stopped(lost.reason) if lost else (*said, *self._met())

    def _due(self, last: float, after: float) -> bool:
        now = self.lease.clock()
        return now >= self.not_before and now - last >= after

    def after(self, tool: str) -> str | None:
        """The workspace's files as a tree, after a tool that may have changed them."""
        workspace.ensure_git(self.space, self.lease.host.sandbox)
        if tool not in CHANGING:
            return None
        if self.pause > 0:
            self.pause -= 1
            return None
        try:
            return workspace.collect(self.space, self.lease.host.repo)
        except ToolError as error:
            self.pause = PAUSE if isinstance(error, workspace.Slow) else 0
            return None  # said when the work is taken; until then the agent may still put it right

    def _hear(self) -> Stopped | list[Said]:
        """What people said since the last step, and sent."""
        if self._due(self.looked, LOOK_EVERY):
            asked = self.looked = self.lease.clock()
            self.lease.host.listen()
            self.ears.look()
            now = self.lease.clock()
            self.looked = now + again_after(now - asked) - LOOK_EVERY
        return self.ears.news()

    def _renew(self) -> Lost | None:
        lease, before = self.lease, self.lease.met
        count(lease, self.trajectory)
        lost = publish.checkpoint(lease, self.space, self.trajectory.path.read_bytes())
        if lost is not None:
            return lost
        if lease.met != before:  # build upon what people pushed
            publish.lay_out(lease, self.space, lease.head)
        self.remember()
        return None

    def _away(self, error: git.Unreachable, asked: float) -> Lost | None:
        """The hub has not been there for a whole lease: to others this one has expired."""
        now = self.lease.clock()
        self.not_before = now + again_after(now - asked)
        if now - self.lease.pushed < lease_seconds(self.lease.settings.policy):
            return None
        return Lost(f"{error.what} (for a whole lease)")

    def _met(self) -> tuple[Said, ...]:
        """Tell the agent what people changed under its hands."""
        if not self.lease.met:
            return ()
        files, self.lease.met = ", ".join(self.lease.met), ()
        words = f"People pushed their own commits; the workspace has them now. They changed: {files}"
        return (Said(self.lease.head, words),)


def reason_to_stop(lease: Lease, everything: tuple[Command, ...]) -> str | None:
    """Pure: why the commands so far end this run, or None."""
    now = commands.standing(everything)
    if now.paused or now.cancelled:
        return "paused" if now.paused else "cancelled"
    verbs = [said.verb for said in everything if said.about(lease.ref.stage, lease.ref.attempt)]
    return next((verb for verb in verbs if verb in ("reject", "retry")), None)


class Notes:
    """Where the agent's own words go: its progress into the entry, its notes into the history."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._new: list[str] = []

    @property
    def journal(self) -> Journal:
        """As tools know it."""
        return Journal(
            progress=lambda percent: self._lease.change(progress=max(0, min(99, percent))),  # 100 is the gates' to say
            note=self._note,
        )

    def _note(self, text: str) -> None:
        self._lease.note("note", text, by_agent=True)
        self._new.append(text)

    def new(self) -> tuple[str, ...]:
        """What was noted since this was asked last."""
        taken, self._new = tuple(self._new), []
        return taken


def recall(lease: Lease, turns: list[Ran], before: int) -> None:
    """Say again what the agent said in these turns and no push has carried yet, after an interruption.

    `before`: how many of its notes under this claim were pushed when the turns began.
    """
    notes = [text for ran in turns for text in ran.notes]
    for text in notes[lease.own_notes() - before :]:
        lease.note("note", text, by_agent=True)
    percents = [ran.call.arguments.get("percent") for ran in turns if ran.call.name == "progress" and not ran.fault]
    if percents and isinstance(percents[-1], int):
        lease.change(progress=max(0, min(99, percents[-1])))


def count(lease: Lease, trajectory: Trajectory) -> None:
    """Carry what the attempt has used so far into its entry."""
    totals = trajectory.totals
    lease.change(steps=totals.steps, tokens=totals.tokens, cost=round(totals.cost, 6), seconds=round(totals.seconds, 1))
