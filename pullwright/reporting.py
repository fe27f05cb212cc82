"""`pullwright report`: what merged stages cost and took, by agent and complexity; and the report of one task."""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import click
import msgspec

from runner.host import site_at
from runner.lifecycle import Stage
from runner.observe import observe
from runner.record import Entry
from runner.report import completion, read_account, write_report
from runner.report.text import compose, length, markdown, money, seconds_between
from runner.state import TaskState

MERGED = "merged"


class Line(msgspec.Struct, frozen=True):
    """One attempt at one stage. `outcome` is `merged`, `closed` (given up), or how the stage stands now.

    `seconds` is None while it is not finished; `cost` in US dollars.
    """

    task: str
    stage: Stage
    attempt: int
    agent: str
    model: str
    complexity: int
    outcome: str
    reworks: int
    steps: int
    tokens: int
    cost: float
    seconds: int | None


class Total(msgspec.Struct, frozen=True):
    """What an agent's stages of one complexity came to; `agent` is empty and `complexity` None for all together.

    The sums hold every attempt, so that what was given up is part of what a merged stage costs.
    """

    agent: str
    complexity: int | None
    merged: int
    closed: int
    reworks: int
    steps: int
    tokens: int
    cost: float
    seconds: int

    def each(self, amount: float) -> float | None:
        """`amount` for each merged stage, or None where none is merged."""
        return amount / self.merged if self.merged else None


def report_here(folder: Path, as_json: bool) -> None:
    """Print the totals of all tasks; as JSON with each attempt."""
    states = observe(site_at(folder)).states
    found = tuple(line for state in states for line in lines(state))
    if as_json:
        totals = [msgspec.to_builtins(total) | _per_stage(total) for total in by_agent(found)]
        click.echo(json.dumps({"stages": msgspec.to_builtins(found), "totals": totals}, indent=2))
        return
    for text in table(by_agent(found)) if found else ["no stage was worked on yet: pullwright run"]:
        click.echo(text)


def report_task(folder: Path, task: str, as_json: bool, as_markdown: bool) -> None:
    """Write one task's report as a PDF and print its place, or print it as Markdown. Raises `UserError`."""
    site = site_at(folder)
    state = observe(site).state(task)
    commit = newest(state)
    completed = completion(site.repo, task, state.base) if state.current is None else None
    if as_markdown:
        click.echo(markdown(compose(read_account(site.repo, task, commit, completed))), nl=False)
        return
    path = write_report(site, task, commit, completed)
    click.echo(json.dumps({"task": task, "commit": commit, "report": str(path)}) if as_json else str(path))


def newest(state: TaskState) -> str:
    """Pure: the commit that knows most of a task."""
    if state.current is None:
        return state.base
    return state.open.head if state.open is not None else state.work or state.base


def lines(state: TaskState) -> Iterator[Line]:
    """Pure: every attempt at a task's stages, in the order of the stages."""
    if state.record is not None:
        for past in state.record.attempts:
            yield _line(state, past.stage, past.entry, "closed")
        for stage in state.stages:
            if stage in state.done and stage in state.record.stages:
                yield _line(state, stage, state.record.stages[stage], MERGED)
    if state.open is not None:
        yield _line(state, state.open.ref.stage, state.open.entry, state.open.entry.state)


def _line(state: TaskState, stage: Stage, entry: Entry, outcome: str) -> Line:
    return Line(
        task=state.task.id,
        stage=stage,
        attempt=entry.attempt,
        agent=entry.agent,
        model=entry.model,
        complexity=state.frozen.complexity if state.frozen else state.complexity(0),
        outcome=outcome,
        reworks=entry.reworks,
        steps=entry.steps,
        tokens=entry.tokens,
        cost=entry.cost,
        seconds=seconds_between(entry.started, entry.finished),
    )


def by_agent(found: Iterable[Line]) -> tuple[Total, ...]:
    """Pure: a total for each agent and complexity, then that of all."""
    ordered = sorted(found, key=lambda line: (line.agent, line.complexity))
    groups = groupby(ordered, key=lambda line: (line.agent, line.complexity))
    return (*(_total(tuple(group), *name) for name, group in groups), _total(tuple(ordered), "", None))


def _total(group: tuple[Line, ...], agent: str, complexity: int | None) -> Total:
    return Total(
        agent=agent,
        complexity=complexity,
        merged=sum(line.outcome == MERGED for line in group),
        closed=sum(line.outcome == "closed" for line in group),
        reworks=sum(line.reworks for line in group),
        steps=sum(line.steps for line in group),
        tokens=sum(line.tokens for line in group),
        cost=sum(line.cost for line in group),
        seconds=sum(line.seconds or 0 for line in group),
    )


def _per_stage(total: Total) -> dict[str, float | None]:
    return {
        "tokens_per_stage": total.each(total.tokens),
        "cost_per_stage": total.each(total.cost),
        "seconds_per_stage": total.each(total.seconds),
    }


HEADS = ("agent", "complexity", "merged", "closed", "reworks", "steps", "tokens", "cost", "time")
EACH = ("tokens each", "cost each", "time each")


def table(totals: Iterable[Total]) -> Iterator[str]:
    """Pure: the totals in aligned columns; "each" is for each merged stage."""
    rows = [(*HEADS, *EACH), *map(_cells, totals)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first = row[0].ljust(widths[0])
        yield "  ".join([first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]).rstrip()


def _cells(total: Total) -> tuple[str, ...]:
    tokens, cost, seconds = total.each(total.tokens), total.each(total.cost), total.each(total.seconds)
    return (
        total.agent or "all",
        "" if total.complexity is None else str(total.complexity),
        *(f"{number:,}" for number in (total.merged, total.closed, total.reworks, total.steps, total.tokens)),
        money(total.cost),
        length(total.seconds),
        "–" if tokens is None else f"{tokens:,.0f}",
        "–" if cost is None else money(cost),
        "–" if seconds is None else length(round(seconds)),
    )
