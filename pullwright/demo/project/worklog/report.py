"""Sessions added up."""

from collections.abc import Iterable

from worklog.entry import Entry


def totals(entries: Iterable[Entry]) -> dict[str, int]:
    """Minutes by project, projects in the order of the alphabet."""
    minutes: dict[str, int] = {}
    for entry in entries:
        minutes[entry.project] = minutes.get(entry.project, 0) + entry.minutes
    return dict(sorted(minutes.items()))


def clock(minutes: int) -> str:
    """95 → `1:35`."""
    return f"{minutes // 60}:{minutes % 60:02d}"


def table(minutes: dict[str, int]) -> str:
    """One line a project, and the total."""
    rows = [*minutes.items(), ("total", sum(minutes.values()))]
    name_width = max(len(name) for name, _ in rows)
    time_width = max(len(clock(value)) for _, value in rows)
    return "\n".join(f"{name:<{name_width}}  {clock(value):>{time_width}}" for name, value in rows)
