"""One stage on its branch: workspace, prompt, loop, gates, publish. Start reading at `work`."""

from contextlib import closing, suppress

from runner import briefing, git, live, prompting
from runner.claims.lease import Lease
from runner.claims.pulse import Pulse
from runner.errors import ToolError, UserError
from runner.gates import checks
from runner.loop.dialogue import Asked, Bounds, Exhausted, Failed, Finished, Outcome, Stopped, converse
from runner.loop.trajectory import Started, Trajectory
from runner.models import Message, ModelError
from runner.protocols.preflight import memory_of, settle
from runner.spending import Spent, bounds, used_by
from runner.stage import hooks, outgoing, publish, telling
from runner.stage.place import Place, bring_trajectory, lay_out, opens, place_of, remember
from runner.stage.reaching import reach, withheld
from runner.state import TaskState
from runner.task import Budget
from runner.tools import TOOLS, Journal, Work, describe, most, observation_cap, offered, toolbox
from runner.workspace import Workspace


def work(lease: Lease, state: TaskState, feedback: str = "") -> str:
    """Do the stage, or go on with it, until it is ready or held; returns a sentence that says how it stands.

    `feedback` is what people said or what gates found. Raises `UserError` when only the operator can help (an endpoint
    that is down): the claim stays, and the next run goes on from the last step.
    """
    place = place_of(lease)
    bring_trajectory(lease, place)
    with Trajectory.open(place.trajectory, watch=live.watcher(lease), redactor=lease.host.redactor) as trajectory:
        lost = lay_out(lease, place)
        if lost is not None:
            return lost.reason
        with Pulse(lease) as pulse:
            _set_up(lease, place.space)
            try:
                outcome = _converse(lease, state, place, trajectory, feedback, pulse)
            except (KeyboardInterrupt, SystemExit):
                _leave(lease, place, trajectory)
                raise
        hooks.count(lease, trajectory)
        head = lease.head
        said = _conclude(lease, state, place, outcome)
        if lease.head != head:
            remember(lease, place, ended=True)
        return said


def gate_again(lease: Lease) -> str:
    """Run the gates on what is on the branch (after people's commits, or with base merged in), without the agent."""
    return publish.judge(lease, git.tree_of(lease.host.repo, lease.head), "The gates run on what is there.", None)


# --- before the loop -----------------------------------------------------------------------------------------------


def _set_up(lease: Lease, space: Workspace) -> None:
    """Prepare the workspace's environment as `setup` says, once. Raises `UserError` when that fails."""
    done, wanted = space.scratch / "set-up", "\n".join(lease.settings.setup)
    if not wanted or (done.exists() and done.read_text() == wanted):
        return
    lease.host.say(f"{lease.ref.task}  {lease.ref.stage}  is set up: {'; '.join(lease.settings.setup)}")
    failed = checks.set_up(lease.host.sandbox, space.mounts(), lease.settings.setup, publish.logs(lease))
    if failed is not None:
        raise UserError(f"setup fails on {lease.branch}:\n{failed.detail}", "mend `setup` in agents.yaml")
    done.write_text(wanted)


def _opening(lease: Lease, feedback: str, context: int) -> tuple[Message, ...]:
    return briefing.opening(
        lease.host.repo,
        lease.settings,
        lease.ref.stage,
        lease.history.record.request,
        lease.task.folder,
        head=lease.head,
        base=lease.entry.base,
        context=context,
        feedback=feedback,
        conflicts=lease.conflicts,
    )


# --- the loop ------------------------------------------------------------------------------------------------------


def _converse(
    lease: Lease, state: TaskState, place: Place, trajectory: Trajectory, feedback: str, pulse: Pulse
) -> Outcome:
    """Talk until an outcome. Another model than before starts a new segment, with the feedback in its prompt."""
    agent = lease.agent
    model = lease.host.model(agent, lease.ref.stage)
    try:
        abilities = model.load()
        context = min(agent.context, abilities.context)
        names = offered(lease.ref.stage, agent.tools, withheld(lease.settings), most(context))
        opening = _opening(lease, feedback, context)
        question = opening, tuple(describe(TOOLS[name]) for name in names)
        protocol = settle(agent.protocol, abilities, model, question, memory_of(lease.host.state))
    except ModelError as error:
        return Failed(str(error), error.kind)
    if abilities.note:
        lease.host.say(f"{agent.name}: {abilities.note}")
    begun = trajectory.segment
    if begun is None or begun.model != model.name:
        opens(lease, place)
    if begun is not None and begun.model != model.name:
        trajectory.append(Started(model.name, protocol, opening, opening=len(opening), why=f"{agent.name} goes on"))
    mark = place.mark(lease.entry.claim)
    told = "" if mark is not None and mark.opened else feedback
    documents = briefing.documents(lease.host.repo, lease.head, lease.task.folder)
    seeds = prompting.seeds(documents, lease.history.record.request)
    notes = hooks.Notes(lease)
    with closing(hooks.Hooks(lease, place.space, trajectory, told, lambda: remember(lease, place))) as around:
        return converse(
            model,
            protocol,
            telling.heard(lease, toolbox(names, _tool_work(lease, place.space, notes.journal, context))),
            trajectory,
            opening,
            _bounds(lease, state, trajectory, context),
            before_step=pulse.at_rest(around.before),
            after_step=pulse.at_rest(around.after),
            noted=notes.new,
            seeds=tuple(seed for seed in seeds if seed.call.name in names),
        )


def _tool_work(lease: Lease, space: Workspace, journal: Journal, context: int) -> Work:
    return Work(
        sandbox=lease.host.sandbox,
        mounts=space.mounts(),
        journal=journal,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        path=("/workspace/venv/bin", "/workspace/global/tools"),
        network=lease.settings.policy.network,
        cap=observation_cap(context),
        reach=reach(lease),
    )


def _bounds(lease: Lease, state: TaskState, trajectory: Trajectory, context: int) -> Bounds:
    """The agent's limits for one run, and what is left of the task's budget, whichever is less."""
    agent, used, budget = lease.agent, trajectory.totals, _budget(state)
    steps, tokens, cost, minutes = _elsewhere(lease)
    most, longest = used.steps + agent.steps, used.seconds + 60 * agent.minutes
    return Bounds(
        steps=most if budget.steps is None else max(1, min(most, budget.steps - steps)),
        tokens=None if budget.tokens is None else max(1, budget.tokens - tokens),
        cost=None if budget.cost is None else max(0.0, budget.cost - cost),
        seconds=longest if budget.minutes is None else max(0.0, min(longest, 60 * (budget.minutes - minutes))),
        context=context,
        max_output=agent.max_output,
    )


def _elsewhere(lease: Lease) -> Spent:
    """What the task has used besides this attempt."""
    record = lease.history.record
    others = [entry for stage, entry in record.stages.items() if stage is not lease.ref.stage]
    return used_by([*others, *(past.entry for past in record.attempts)])


def _budget(state: TaskState) -> Budget:
    return state.standing.budget or state.task.request.budget


def _leave(lease: Lease, place: Place, trajectory: Trajectory) -> None:
    """Somebody ends the run: what is there goes to the hub, so that another host can go on from here, not from before.

    Nothing depends on it: a second ^C, or a hub that is away, leaves it as a kill would.
    """
    lease.host.say(f"{lease.ref.task}  {lease.ref.stage}  stopping: what is there is pushed (once more leaves at once)")
    hooks.count(lease, trajectory)
    with suppress(UserError, git.GitError):
        publish.checkpoint(lease, place.space, place.trajectory.read_bytes())


# --- after the loop ------------------------------------------------------------------------------------------------


def _conclude(lease: Lease, state: TaskState, place: Place, outcome: Outcome) -> str:
    """Publish what the loop came to."""
    said = place.trajectory.read_bytes()
    match outcome:
        case Finished(summary):
            lease.note("progress_update", summary, by_agent=True)
            try:
                tree = outgoing.collect(lease, place.space)
            except ToolError as error:
                return publish.refuse(lease, str(error), said)
            return publish.judge(lease, tree, summary, said)
        case Asked(question):
            return publish.hold(lease, place.space, f"needs input: {question}", "input", said)
        case Exhausted(limit) if _is_budget(lease, state, limit):
            return publish.hold(lease, place.space, f"budget: {limit} used up", "budget", said)
        case Exhausted(limit):
            return publish.hold(lease, place.space, f"limit: {limit} of one run used up", "failure", said)
        case Failed(reason, "unavailable" | "rate"):
            lost = publish.checkpoint(lease, place.space, said)
            raise UserError(
                lost.reason if lost else reason, "run it again when the endpoint answers: it goes on from here"
            )
        case Failed(reason, "payment"):
            return publish.hold(lease, place.space, f"no credit: {reason}", "input", said)
        case Failed(reason, _):
            return publish.hold(lease, place.space, f"agent failed: {reason}", "failure", said)
        case Stopped(reason):
            lost = publish.checkpoint(lease, place.space, said)
            return lost.reason if lost else f"{lease.ref.stage} stopped: {reason}"


def _is_budget(lease: Lease, state: TaskState, limit: str) -> bool:
    """Whether it was the task's budget that ended the run, and not the agent's limit of one run."""
    at = ("steps", "tokens", "cost", "seconds").index(limit)
    bound = bounds(_budget(state))[at]
    return bound is not None and _elsewhere(lease)[at] + used_by([lease.entry])[at] >= bound
