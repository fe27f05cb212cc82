"""The state machine, played through without Git: whatever comes of each action, a task stays on its rails."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.agents import Agent, Policy, ReviewPolicy, Settings
from runner.commands import Command, Standing
from runner.decide import (
    REWORKS,
    Action,
    Claim,
    Crew,
    Escalate,
    Finish,
    Hold,
    Merge,
    Nothing,
    Propose,
    Resume,
    Rework,
    decide,
)
from runner.lifecycle import STAGES, Stage, StageRef, stage_branch
from runner.record import Entry, Gate, HoldKind, State
from runner.record import Hold as Held
from runner.state import Change, OpenStage, TaskState
from runner.task import Budget, Task, TaskFile

UUID = "00000000-0000-4000-8000-000000000000"
GREEN = tuple(Gate(name, "true", 0, 0.1) for name in ("checks", "stages", "base"))
GEMMA = Agent(name="gemma", model="gemma3:4b", max_complexity=4, escalation=("sonnet",))
SONNET = Agent(name="sonnet", model="sonnet", provider="openai")
AUTO = Policy(review=ReviewPolicy("auto", "auto", "auto", "auto", "auto"))


def settings(policy: Policy = AUTO) -> Settings:
    return Settings(version=1, repository=UUID, agents=(GEMMA, SONNET), policy=policy)


def fresh(stages: tuple[Stage, ...] = STAGES, **request: object) -> TaskState:
    task = Task("fix", "tasks/fix.yaml", TaskFile("Fix it", stages=stages, **request))  # type: ignore[arg-type]
    return TaskState(task=task, stages=stages, done=frozenset(), base="b" * 40, work=None)


def opened(state: TaskState, agent: str = "gemma", entry: State = "working", **fields: object) -> TaskState:
    """The state with a branch of the current stage."""
    stage = state.current
    assert stage is not None
    attempt = max(1, state.attempts)
    entry_ = Entry(entry, attempt, agent, "m", UUID, "host", "b" * 40, "2026-01-01T00:00:00Z", gates=GREEN)
    own = {name: fields.pop(name) for name in ("hold", "reworks", "gates", "seconds") if name in fields}
    change = Change(("a.py",), (), True, True) if entry == "ready" else None
    ref = StageRef("fix", stage, attempt)
    branch = OpenStage(
        ref, stage_branch(*ref), "h" * 40, msgspec.structs.replace(entry_, **own), True, False, change=change
    )
    branch = msgspec.structs.replace(branch, **fields)
    return msgspec.structs.replace(state, open=branch, attempts=attempt, started=True)


def said(verb: str, attempt: int = 1, stage: Stage = Stage.DESIGN, text: str = "") -> Command:
    return Command(
        f"{verb}-{attempt}", "2026-01-01T00:00:00Z", "ann", verb, {"stage": stage, "attempt": attempt, "text": text}
    )  # type: ignore[arg-type]


def heard(state: TaskState, *commands: Command) -> TaskState:
    return msgspec.structs.replace(state, commands=commands)


def test_a_new_task_is_claimed_by_the_first_agent_that_fits() -> None:
    assert decide(fresh(), settings(), Crew()) == Claim(Stage.DESIGN, 1, GEMMA)
    assert decide(fresh(complexity=9), settings(), Crew()) == Claim(Stage.DESIGN, 1, SONNET)


def test_a_busy_crew_is_waited_for_and_an_impossible_task_is_held() -> None:
    busy = Crew({"gemma": 1, "sonnet": 1})
    assert isinstance(decide(fresh(), settings(), busy), Nothing)
    only_gemma = msgspec.structs.replace(settings(), agents=(GEMMA,))
    action = decide(fresh(complexity=9), only_gemma, Crew())
    assert isinstance(action, Hold) and action.reason == "no agent for complexity 9" and action.remedy


@pytest.mark.parametrize("policy", ["human", "auto"])
def test_the_policy_decides_who_merges(policy: str) -> None:
    rules = Policy(review=ReviewPolicy(design=policy))  # type: ignore[arg-type]
    action = decide(opened(fresh(), entry="ready"), settings(rules), Crew())
    assert isinstance(action, Merge if policy == "auto" else Nothing)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Change(("a.py",), (), True, True), Merge),
        (Change(("a.py",), (), False, True), Propose),
        (Change((".github/workflows/ci.yml",), (), True, True), Hold),
        (Change(("tasks/other.yaml",), ("tasks/other.yaml",), True, True), Hold),
    ],
)
def test_nothing_is_merged_that_was_not_gated_or_is_protected_or_adds_tasks(change: Change, expected: type) -> None:
    state = opened(fresh(), entry="ready", change=change)
    assert isinstance(decide(state, settings(), Crew()), expected)


def test_base_is_merged_in_and_gated_again_before_the_last_stage_goes_into_it() -> None:
    last = msgspec.structs.replace(fresh(), done=frozenset(STAGES[:-1]))
    moved = Change(("a.py",), (), True, base_inside=False)
    assert decide(opened(last, entry="ready", change=moved), settings(), Crew()) == Propose(merge_base=True)


def test_whatever_goes_into_base_needs_the_policy_of_complete() -> None:
    short = fresh((Stage.BUILD, Stage.TEST))
    last = msgspec.structs.replace(short, done=frozenset({Stage.BUILD}))
    rules = Policy(review=ReviewPolicy(test="auto", complete="human"))
    assert isinstance(decide(opened(last, entry="ready"), settings(rules), Crew()), Nothing)


def test_failures_are_reworked_twice_then_escalated_then_held() -> None:
    failed = Held("gate failed: checks", "2026-01-01T00:00:00Z")
    reworked = [
        decide(opened(fresh(), entry="held", hold=failed, reworks=n), settings(), Crew()) for n in range(REWORKS + 1)
    ]
    assert [type(action) for action in reworked] == [Rework, Rework, Escalate]
    by_sonnet = opened(fresh(), "sonnet", entry="held", hold=failed, reworks=REWORKS)
    action = decide(by_sonnet, settings(), Crew())
    both = 'help: pullwright review fix --comment "…", or begin anew: pullwright retry fix'
    assert action == Hold("gate failed: checks", both)


def test_a_question_waits_for_its_answer() -> None:
    asked = Held("needs input: which?", "2026-01-01T00:00:00Z", "input")
    state = opened(fresh(), entry="held", hold=asked)
    assert decide(state, settings(), Crew()) == Hold("needs input: which?", 'pullwright answer fix "…"')
    answer = said("answer", text="that one")
    assert decide(heard(state, answer), settings(), Crew()) == Rework((answer,))


def test_a_comment_sends_a_proposal_back_once() -> None:
    comment = said("comment", text="shorter, please")
    ready = heard(opened(fresh(), entry="ready"), comment)
    assert decide(ready, settings(), Crew()) == Rework((comment,))
    again = opened(ready, entry="ready", heard=frozenset({comment.id}))
    assert isinstance(decide(again, settings(), Crew()), Merge)


def test_rejected_work_is_held_until_retry_gives_it_to_the_next_agent() -> None:
    rejected = heard(opened(fresh(), entry="ready"), said("reject", text="wrong way"))
    assert decide(rejected, settings(), Crew()) == Hold("rejected: wrong way", "pullwright retry fix")
    retried = heard(rejected, *rejected.commands, said("retry"))
    assert decide(retried, settings(), Crew()) == Claim(Stage.DESIGN, 2, SONNET)


def test_a_paused_or_cancelled_task_rests_on_every_host() -> None:
    for standing, reason in ((Standing(paused=True), "paused"), (Standing(cancelled=True), "cancelled")):
        for state in (fresh(), opened(fresh()), opened(fresh(), entry="ready", mine=False, expired=True)):
            action = decide(msgspec.structs.replace(state, standing=standing), settings(), Crew())
            assert isinstance(action, Hold) and action.reason == reason


def test_another_host_s_work_is_left_alone_until_its_lease_has_expired() -> None:
    theirs = opened(fresh(), mine=False)
    assert isinstance(decide(theirs, settings(), Crew()), Nothing)
    assert decide(opened(fresh(), mine=False, expired=True), settings(), Crew()) == Resume(takeover=True)
    assert decide(opened(fresh(), mine=True), settings(), Crew()) == Resume()


def test_a_review_prefers_another_agent_than_the_builder() -> None:
    from runner.record import Record, Request

    request = Request("Fix it", "", "0" * 64, "ann", "tasks/fix.yaml", 3, "", STAGES)
    entry = Entry("done", 1, "gemma", "m", UUID, "host", "b" * 40, "2026-01-01T00:00:00Z")
    state = msgspec.structs.replace(
        fresh(), done=frozenset(STAGES[:3]), record=Record(1, request, {Stage.BUILD: entry}), work="w" * 40
    )
    assert decide(state, settings(), Crew()) == Claim(Stage.REVIEW, 1, SONNET)


KINDS: tuple[HoldKind, ...] = ("failure", "input", "budget")


@st.composite
def states(draw: st.DrawFn) -> TaskState:
    """Any state at all, sensible or not."""
    stages = tuple(stage for stage in STAGES if draw(st.booleans())) or STAGES
    done = frozenset(draw(st.lists(st.sampled_from(stages), unique=True)))
    state = msgspec.structs.replace(
        fresh(
            stages,
            complexity=draw(st.none() | st.integers(1, 10)),
            agent=draw(st.sampled_from([None, "gemma", "nobody"])),
        ),
        done=done,
        waits=tuple(draw(st.lists(st.just("other"), max_size=1))),
        trouble=draw(st.sampled_from([None, None, None, "reverted", "task changed"])),
        standing=Standing(draw(st.booleans()), draw(st.booleans())) if draw(st.booleans()) else Standing(),
    )
    if state.current is not None and draw(st.booleans()):
        hold = Held("why", "2026-01-01T00:00:00Z", draw(st.sampled_from(KINDS))) if draw(st.booleans()) else None
        entry: State = draw(st.sampled_from(["working", "held", "ready", "done"]))
        agent = draw(st.sampled_from(["gemma", "sonnet", "gone"]))
        state = opened(
            state, agent, entry, hold=hold, reworks=draw(st.integers(0, 3)), mine=draw(st.booleans()),
            expired=draw(st.booleans()), change=draw(st.none() | st.builds(
                Change, st.just(("a.py",)), st.just(()), st.booleans(), st.booleans())),
        )  # fmt: skip
        verbs = draw(st.lists(st.sampled_from(["comment", "reject", "retry", "answer"]), max_size=3))
        assert state.open is not None
        state = heard(state, *(said(verb, state.open.ref.attempt, state.open.ref.stage) for verb in verbs))
    return state


@given(states(), st.booleans(), st.integers(0, 2))
def test_every_state_has_an_answer_that_stays_within_the_task(state: TaskState, offline: bool, busy: int) -> None:
    action = decide(state, settings(), Crew({"gemma": busy}, frozenset({"sonnet"} if offline else ())))
    match action:
        case Claim(stage, attempt, _):
            assert stage == state.current and stage not in state.done and attempt == state.attempts + 1
        case Finish():
            assert state.done >= set(state.stages)
        case Hold(reason, remedy):
            assert reason and remedy
        case Nothing(reason):
            assert reason
        case Merge():
            assert state.open and state.open.entry.state in ("ready", "done") and state.open.change
            assert state.open.change.as_gated
        case _:
            assert state.open is not None


OUTCOMES = ("ready", "failure", "input", "budget", "crash", "lost")


class Play:
    """A task's whole life: each action is carried out on values, with an outcome drawn by chance."""

    def __init__(self, stages: tuple[Stage, ...]) -> None:
        self.state = fresh(stages)
        self.merged: list[Stage] = []
        self.claims: list[tuple[Stage, int]] = []

    def work(self, outcome: str, agent: str, reworks: int) -> None:
        if outcome == "ready":
            self.state = opened(self.state, agent, "ready", reworks=reworks)
        elif outcome in ("crash", "lost"):
            self.state = opened(self.state, agent, "working", reworks=reworks)
        else:
            hold = Held(outcome, "2026-01-01T00:00:00Z", outcome)  # type: ignore[arg-type]
            self.state = opened(self.state, agent, "held", hold=hold, reworks=reworks)

    def take(self, action: Action, outcome: str) -> None:
        stage = self.state.open
        match action:
            case Claim(wanted, attempt, agent):
                assert wanted not in self.merged, "a finished stage ran again"
                assert (wanted, attempt) not in self.claims, "an attempt was claimed twice"
                self.claims.append((wanted, attempt))
                self.state = msgspec.structs.replace(self.state, attempts=attempt, open=None, commands=())
                self.work(outcome, agent.name, 0)
            case Resume() | Propose():
                assert stage is not None
                self.work(outcome, stage.entry.agent, stage.entry.reworks)
            case Rework(said_, _):
                assert stage is not None
                self.state = msgspec.structs.replace(self.state, commands=())
                self.work(outcome, stage.entry.agent, stage.entry.reworks + (0 if said_ else 1))
            case Escalate(agent, _):
                self.work(outcome, agent.name, 0)
            case Merge():
                assert stage is not None
                self.merged.append(stage.ref.stage)
                self.state = msgspec.structs.replace(
                    self.state, done=self.state.done | {stage.ref.stage}, open=None, attempts=0, commands=()
                )
            case Hold():
                if stage is not None:
                    verb = {"input": "answer"}.get(stage.entry.hold.kind if stage.entry.hold else "", "retry")
                    self.state = heard(self.state, said(verb, stage.ref.attempt, stage.ref.stage))


@given(
    st.lists(st.sampled_from(STAGES), unique=True, min_size=1).map(lambda some: tuple(s for s in STAGES if s in some)),
    st.lists(st.sampled_from(OUTCOMES), max_size=60),
)
def test_no_sequence_of_outcomes_loses_a_stage_or_runs_a_finished_one(
    stages: tuple[Stage, ...], luck: list[str]
) -> None:
    play = Play(stages)
    for outcome in [*luck, *["ready"] * 20]:
        action = decide(play.state, settings(), Crew())
        if isinstance(action, Finish):
            break
        play.take(action, outcome)
    assert tuple(play.merged) == stages


def test_minutes_of_work_count_against_the_budget_like_steps_and_tokens() -> None:
    used_up = Held("budget: seconds used up", "2026-01-01T00:00:00Z", "budget")
    for minutes, expected in ((2.0, Hold), (3.0, Rework)):
        state = opened(fresh(budget=Budget(minutes=minutes)), entry="held", hold=used_up, seconds=120.0)
        assert isinstance(decide(state, settings(), Crew()), expected)
