"""What agents do, as it happens: this host's live lines, and what other hosts have pushed of their conversations."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pullwright import standing
from pullwright.screen import STAGE_WIDTH
from runner import git, live, planning
from runner.claims.lease import TRAJECTORY, trajectory_name
from runner.decide import Action, Finish, Hold, Nothing
from runner.errors import UserError
from runner.host import Site, site_at
from runner.lifecycle import StageRef
from runner.live import Step
from runner.loop.trajectory import entries
from runner.observe import View, observe
from runner.record import Entry
from runner.state import OpenStage

LOOK = 0.5  # seconds between two looks at this host's own lines
LOOKS = 10  # of those between two looks at the hub
EARLIER = 10  # lines of what happened before one began to follow


class Tail:
    """A file of live lines that grows: `more` gives what has come since the last look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0

    def more(self) -> list[Step]:
        """The steps since; all of them at first. A file that became shorter was begun anew."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return []
        if size < self.offset:
            self.offset = 0
        if size == self.offset:
            return []
        with self.path.open("rb") as file:
            file.seek(self.offset)
            data = file.read(size - self.offset)
        self.offset += data.rfind(b"\n") + 1
        return live.read(data)


def elsewhere(site: Site, view: View, opened: OpenStage) -> list[Step]:
    """The steps of an open stage as its host has pushed them; nothing where conversations stay on their host."""
    oid = view.refs.ours.get(trajectory_name(opened.ref))
    data = git.read(site.repo, oid, TRAJECTORY) if oid else None
    return retold(data, opened.ref, opened.entry) if data else []


def retold(data: bytes, ref: StageRef, entry: Entry) -> list[Step]:
    """A pushed conversation as live steps; a damaged one ends where the damage is. Pure."""
    found: list[Step] = []
    last = Step("", ref.task, str(ref.stage), ref.attempt, entry.agent, "", progress=entry.progress)
    try:
        for each in entries(data, TRAJECTORY):
            last = live.counted(live.told_by(each, last), last, each)
            found.append(last)
    except UserError:
        pass  # what stands before the damage is true, and a run that is followed is not the place to mend it
    return found


def follow(folder: Path, task: str, sleep: Callable[[float], None] = time.sleep) -> Iterator[str]:
    """Lines about a task as things happen, until it holds, waits for a person or is complete.

    Raises `UserError` when there is none of that id; a hub that is out of reach for a moment is asked again.
    """
    site = site_at(folder)
    view = observe(site)
    reader, place = _Reader(site, task), ""
    while True:
        step = _step(view, task)
        if standing.position(step) != place:
            place = standing.position(step)
            yield f"{task}  {place}"
        yield from reader.lines(view)
        if rests(step.action):
            said = standing.words(step, site.hub, view.settings.base)
            yield f"{task}  {said.reason}"
            yield from (f"  → {way}" for way in said.ways)
            return
        for _ in range(LOOKS):
            sleep(LOOK)
            yield from reader.own()
        view = _again(site, view)


def rests(action: Action) -> bool:
    """Pure: whether nothing goes on until a person acts."""
    return isinstance(action, Hold | Finish) or (isinstance(action, Nothing) and "waits for review" in action.reason)


def _step(view: View, task: str) -> planning.Step:
    view.state(task)
    return next(step for step in planning.plan(view) if step.state.task.id == task)


def _again(site: Site, view: View) -> View:
    try:
        return observe(site)
    except UserError:
        return view


class _Reader:
    """Tells each step once; of what happened before it was asked for the first time, only the end."""

    def __init__(self, site: Site, task: str) -> None:
        self.site = site
        self.task = task
        self.tail = Tail(live.path_of(site.state, task))
        self.told: dict[StageRef, int] = {}
        self.begun = False

    def own(self) -> Iterator[str]:
        """What has happened on this host."""
        return _sentences(self.tail.more())

    def lines(self, view: View) -> Iterator[str]:
        """What has happened here, and on the host that is at work."""
        found = list(self.own())
        opened = view.state(self.task).open
        if opened is not None and not opened.mine:
            steps = elsewhere(self.site, view, opened)
            found += _sentences(steps[self.told.get(opened.ref, 0) :])
            self.told[opened.ref] = len(steps)
        yield from found if self.begun else found[-EARLIER:]
        self.begun = True


def _sentences(steps: list[Step]) -> Iterator[str]:
    for step in steps:
        said = live.sentence_of(step)
        if said:
            yield f"{step.task}  {step.stage:<{STAGE_WIDTH}}  {said}"
