"""One stage on its branch: workspace, prompt, loop, gates, publish. Start reading at `work`."""

import json
from pathlib import Path
from typing import NamedTuple

import msgspec

from runner import checks, gates, git, hooks, live, prompting, publish, workspace
from runner.decide import spent
from runner.errors import ToolError, UserError
from runner.lease import TRAJECTORY, Lease, trajectory_name
from runner.loop import Asked, Bounds, Exhausted, Failed, Finished, Outcome, Stopped, converse
from runner.models import Message
from runner.protocols.choice import choose
from runner.state import TaskState
from runner.task import Budget
from runner.tools import Work, observation_cap, offered, toolbox
from runner.trajectory import Entry as Turn
from runner.trajectory import Ran, Started, Trajectory
from runner.workspace import Workspace

DOCUMENTS = ("design.md", "test-report.md", "review.md")


class Place(NamedTuple):
    """Where one run of a stage keeps its things on this host."""

    space: Workspace
    trajectory: Path

    @property
    def mark(self) -> Path:
        """Says for which claim the workspace was laid out, and how long the trajectory was then."""
        return self.trajectory.with_name("laid-out.json")


def work(lease: Lease, state: TaskState, feedback: str = "") -> str:
    """Do the stage, or go on with it, until it is ready or held; returns a sentence that says how it stands.

    `feedback` is what people said or what gates found. Raises `UserError` when only the operator can help (an endpoint
    that is down): the claim stays, and the next run goes on from the last step.
    """
    place = place_of(lease)
    _bring_trajectory(lease, place.trajectory)
    with Trajectory.open(place.trajectory, watch=live.watcher(lease)) as trajectory:
        _lay_out(lease, place)
        _set_up(lease, place.space)
        outcome = _converse(lease, state, place.space, trajectory, feedback)
        hooks.count(lease, trajectory)
        return _conclude(lease, state, place, outcome)


def gate_again(lease: Lease) -> str:
    """Run the gates on what is on the branch (after people's commits, or with base merged in), without the agent."""
    return publish.judge(lease, git.tree_of(lease.host.repo, lease.head), "The gates run on what is there.", None)


def place_of(lease: Lease) -> Place:
    """The workspace and the trajectory of a lease."""
    host = lease.host
    space = workspace.at(host.state / "workspaces", lease.agent.name, lease.task.id, lease.task.folder)
    return Place(space, host.state / trajectory_name(lease.ref) / TRAJECTORY)


# --- before the loop -----------------------------------------------------------------------------------------------


def _bring_trajectory(lease: Lease, path: Path) -> None:
    """Take up the pushed trajectory where this host has none, or has one that is not its continuation."""
    if not lease.trajectory:
        return
    pushed = git.read(lease.host.repo, lease.trajectory, TRAJECTORY) or b""
    here = path.read_bytes() if path.exists() else b""
    if not here.startswith(pushed):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pushed)


def _lay_out(lease: Lease, place: Place) -> None:
    """The workspace as the branch has it or, under the same claim, as the last step left it.

    An interrupted command leaves nothing of itself: it runs again on what was there before it.
    """
    repo = lease.host.repo
    tree = None
    if _marked(place.mark, lease.entry.claim):
        turns = _since(place)
        tree = next((ran.snapshot for ran in reversed(turns) if ran.snapshot), None)
        hooks.recall(lease, turns)
    else:
        size = place.trajectory.stat().st_size
        place.mark.write_text(json.dumps({"claim": lease.entry.claim, "offset": size}))
    if tree is None and lease.pending is not None:
        tree = git.merge(repo, lease.head, lease.pending).tree  # with conflict markers: they are the agent's first work
    publish.lay_out(lease, place.space, tree or lease.head)


def _marked(mark: Path, claim: str) -> bool:
    return mark.exists() and json.loads(mark.read_text())["claim"] == claim


def _since(place: Place) -> list[Ran]:
    """The calls that have run since the workspace was laid out for this claim."""
    offset = json.loads(place.mark.read_text())["offset"]
    lines = place.trajectory.read_bytes()[offset:].splitlines()
    decoder = msgspec.json.Decoder(Turn)
    return [turn for line in lines if isinstance(turn := decoder.decode(line), Ran)]


def _set_up(lease: Lease, space: Workspace) -> None:
    """Prepare the workspace's environment as `setup` says, once. Raises `UserError` when that fails."""
    done, wanted = space.scratch / "set-up", "\n".join(lease.settings.setup)
    if not wanted or (done.exists() and done.read_text() == wanted):
        return
    failed = checks.set_up(lease.host.sandbox, space.mounts(), lease.settings.setup, publish.logs(lease))
    if failed is not None:
        raise UserError(f"setup fails on {lease.branch}:\n{failed.detail}", "mend `setup` in agents.yaml")
    done.write_text(wanted)


def _documents(lease: Lease) -> dict[str, str]:
    """What the stages wrote so far, by name."""
    found = {name: git.read(lease.host.repo, lease.head, f"{lease.task.folder}/{name}") for name in DOCUMENTS}
    return {name: data.decode("utf-8", "replace") for name, data in found.items() if data}


def _opening(lease: Lease, feedback: str, context: int) -> tuple[Message, ...]:
    """The prompt: what stands on base decides how the agent is steered, never what stands on its own branch."""
    repo, stage = lease.host.repo, lease.ref.stage
    own = git.read(repo, lease.entry.base, f".pullwright/prompts/{stage}.md")
    return prompting.opening(
        stage=stage,
        template=own.decode("utf-8", "replace") if own else prompting.packaged(stage),
        template_name=f".pullwright/prompts/{stage}.md" if own else f"{stage}.md",
        request=lease.history.record.request,
        folder=lease.task.folder,
        checks=lease.settings.checks,
        tests=lease.settings.tests,
        documents=_documents(lease),
        guidance=(git.read(repo, lease.entry.base, "AGENTS.md") or b"").decode("utf-8", "replace"),
        feedback=feedback,
        conflicts=lease.conflicts,
        changed=gates.change(repo, lease.head, lease.entry.base, lease.entry.base),
        context=context,
    )


# --- the loop ------------------------------------------------------------------------------------------------------


def _converse(lease: Lease, state: TaskState, space: Workspace, trajectory: Trajectory, feedback: str) -> Outcome:
    """Talk until an outcome. Another model than before starts a new segment, with the feedback in its prompt."""
    agent = lease.agent
    model = lease.host.model(agent, lease.ref.stage)
    abilities = model.check()
    context = min(agent.context, abilities.context)
    protocol = choose(agent.protocol, abilities, agent.model)
    opening = _opening(lease, feedback, context)
    begun = trajectory.segment
    if begun is not None and begun.model != model.name:
        trajectory.append(Started(model.name, protocol, opening, opening=len(opening), why=f"{agent.name} goes on"))
    same = begun is not None and begun.model == model.name
    around = hooks.Hooks(lease, space, trajectory, feedback if same else "")
    names = offered(lease.ref.stage, agent.tools)
    seeds = prompting.seeds(_documents(lease), lease.history.record.request)
    return converse(
        model,
        protocol,
        toolbox(names, _tool_work(lease, space, context)),
        trajectory,
        opening,
        _bounds(lease, state, trajectory, context),
        before_step=around.before,
        after_step=around.after,
        seeds=tuple(seed for seed in seeds if seed.call.name in names),
    )


def _tool_work(lease: Lease, space: Workspace, context: int) -> Work:
    return Work(
        sandbox=lease.host.sandbox,
        mounts=space.mounts(),
        journal=hooks.journal(lease),
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        path=("/workspace/venv/bin",),
        network="open" if lease.settings.policy.network == "open" else "none",
        cap=observation_cap(context),
    )


def _bounds(lease: Lease, state: TaskState, trajectory: Trajectory, context: int) -> Bounds:
    """The agent's limits for one run, and what is left of the task's budget, whichever is less."""
    agent, used, budget = lease.agent, trajectory.totals, _budget(state)
    steps, tokens, cost = spent(state)
    elsewhere = (steps - lease.entry.steps, tokens - lease.entry.tokens, cost - lease.entry.cost)
    most = used.steps + agent.steps
    return Bounds(
        steps=most if budget.steps is None else max(1, min(most, budget.steps - elsewhere[0])),
        tokens=None if budget.tokens is None else max(1, budget.tokens - elsewhere[1]),
        cost=None if budget.cost is None else max(0.0, budget.cost - elsewhere[2]),
        seconds=used.seconds + 60 * min(agent.minutes, budget.minutes or agent.minutes),
        context=context,
        max_output=agent.max_output,
    )


def _budget(state: TaskState) -> Budget:
    return state.standing.budget or state.task.request.budget


# --- after the loop ------------------------------------------------------------------------------------------------


def _conclude(lease: Lease, state: TaskState, place: Place, outcome: Outcome) -> str:
    """Publish what the loop came to."""
    said = place.trajectory.read_bytes()
    match outcome:
        case Finished(summary):
            lease.note("progress_update", summary, by_agent=True)
            try:
                tree = workspace.collect(place.space, lease.host.repo)
            except ToolError as error:
                return publish.refuse(lease, f"the work cannot be taken: {error}", said)
            return publish.judge(lease, tree, summary, said)
        case Asked(question):
            return publish.hold(lease, place.space, f"needs input: {question}", "input", said)
        case Exhausted(limit) if _is_budget(state, limit):
            return publish.hold(lease, place.space, f"budget: {limit} used up", "budget", said)
        case Exhausted(limit):
            return publish.hold(lease, place.space, f"limit: {limit} of one run used up", "failure", said)
        case Failed(reason, "unavailable" | "rate"):
            lost = publish.checkpoint(lease, place.space, said)
            raise UserError(
                lost.reason if lost else reason, "run it again when the endpoint answers: it goes on from here"
            )
        case Failed(reason, "payment"):
            return publish.hold(lease, place.space, f"budget: {reason}", "budget", said)
        case Failed(reason, _):
            return publish.hold(lease, place.space, f"agent failed: {reason}", "failure", said)
        case Stopped(reason):
            lost = publish.checkpoint(lease, place.space, said)
            return lost.reason if lost else f"{lease.ref.stage} stopped: {reason}"


def _is_budget(state: TaskState, limit: str) -> bool:
    """Whether it was the task's budget that ended the run, and not the agent's limit of one run."""
    budget = _budget(state)
    return {"steps": budget.steps, "tokens": budget.tokens, "cost": budget.cost, "seconds": budget.minutes}[
        limit
    ] is not None
