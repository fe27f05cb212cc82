"""What a claim begins with: the request as it is frozen, and the history that it goes on from."""

from runner import git, history
from runner.agents import Policy, Settings
from runner.complexity import Judgement
from runner.history import History
from runner.host import Host
from runner.progress import kept
from runner.record import Request
from runner.state import TaskState
from runner.task import Task, digest


def freeze(task: Task, accepted_by: str, policy: Policy, judged: Judgement | None = None) -> Request:
    """The task's text as it is now, with its complexity and the reason for that. Pure."""
    asked = task.request
    usual = Judgement(policy.default_complexity, "the task names none: policy.default_complexity")
    found = judged or usual if asked.complexity is None else Judgement(asked.complexity, "the task names it")
    return Request(
        title=asked.title,
        body=asked.description,
        sha256=digest(asked),
        accepted_by=accepted_by,
        source=task.source or task.path,
        complexity=found.complexity,
        complexity_reason=found.reason,
        stages=asked.stages,
        acceptance=asked.acceptance,
        depends_on=asked.depends_on,
        tests_must_fail_before=asked.tests_must_fail_before,
    )


def accepted_by(repo: git.Repo, base: str, path: str) -> str:
    """Who brought a task's file to base, as the last commit that touched it says."""
    found = git.git(repo, "log", "-1", "--format=%an <%ae>", base, "--", path)
    return found or "unknown"


def before(host: Host, settings: Settings, state: TaskState) -> History:
    """The history that a new claim goes on from.

    The request is frozen by the first claim, and anew where a person took a changed text or work begins again after a
    revert; then what was there becomes earlier attempts.
    """
    fresh = state.record is None or state.reverted is not None or digest(state.task.request) in state.standing.adopted
    if state.record is not None and not fresh:
        return History(state.record, state.updates)
    by = state.task.accepted_by or accepted_by(host.repo, state.base, state.task.path)
    frozen = freeze(state.task, by, settings.policy, state.judged)
    if state.record is None:
        return history.begin(frozen)
    before = History(state.record, state.updates)
    return history.restarted(before, frozen) if state.reverted is not None else history.reworded(before, frozen)


def after_earlier(host: Host, state: TaskState, before: History) -> History:
    """The history with that of the attempt before, which only its own branch holds."""
    ended = state.open or state.superseded or state.closed
    found = kept(host.repo, ended.head, state.task.id) if ended is not None else None
    if ended is None or found is None or found.record is None:
        return before
    return history.after(before, ended.ref.stage, History(found.record, found.updates))
