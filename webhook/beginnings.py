"""When an agent of this host takes something up: its live lines say so, and by then its claim is on the hub."""

from pathlib import Path

from runner import live
from webhook.steps import Live


class Beginnings:
    """Reads the live lines of all runs on this host, from now on.

    A run says that it starts, but not each time that it goes on: with an answer, say, the same attempt does. So the
    first line after a rest counts as well, whatever it says.
    """

    def __init__(self, state: Path) -> None:
        self._live = Live(state)
        self._resting: set[str] = set()

    def rests(self, task: str) -> None:
        """A runner is started for a task: what it does first is a beginning."""
        self._resting.add(task)

    def any(self) -> bool:
        """Whether something was begun since the last call."""
        found = False
        for step in live.read("".join(f"{line}\n" for line in self._live.new()).encode()):
            if step.kind == "end":  # what comes after it is the next run's, also that of a runner that never left
                self._resting.add(step.task)
            elif step.kind == "start" or step.task in self._resting:
                self._resting.discard(step.task)
                found = True
        return found
