"""One line of a work log: when, for which project, doing what."""

import re
from dataclasses import dataclass
from datetime import date, time

LINE = re.compile(r"(?P<day>\S+) (?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d) (?P<project>\S+)(?: +(?P<note>.*))?")


class BadLine(ValueError):
    """A line that is neither a session, a comment nor empty."""


@dataclass(frozen=True)
class Entry:
    """A session. `day` is the one on which it began."""

    day: date
    start: time
    end: time
    project: str
    note: str = ""

    @property
    def minutes(self) -> int:
        """How long the session lasted."""
        return minute_of_day(self.end) - minute_of_day(self.start)


def minute_of_day(at: time) -> int:
    """Minutes since midnight."""
    return at.hour * 60 + at.minute


def parse(line: str) -> Entry:
    """Read `2026-03-02 09:00-10:30 website  Draft the start page`. Raises `BadLine`."""
    match = LINE.fullmatch(line.strip())
    if match is None:
        raise BadLine(f"not a session: {line.strip()!r}")
    try:
        return Entry(
            day=date.fromisoformat(match["day"]),
            start=time.fromisoformat(match["start"]),
            end=time.fromisoformat(match["end"]),
            project=match["project"],
            note=match["note"] or "",
        )
    except ValueError as error:
        raise BadLine(f"{error}: {line.strip()!r}") from error


def parse_log(text: str) -> list[Entry]:
    """All sessions of a log, in its order. Empty lines and those that begin with `#` are skipped."""
    lines = (line.strip() for line in text.splitlines())
    return [parse(line) for line in lines if line and not line.startswith("#")]
