"""A stage branch that a host owns: people's commits on it, its renewal, and what is found again after a crash."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from repositories import AUTO, add_task, at_home, bare_hub, clone, commit, git, project, settings, story
from scenes import Scene, copied, owned

from runner import git as git_
from runner import progress, worker
from runner.agents import Agent
from runner.claims import Lost, Won, taking
from runner.claims.lease import Lease
from runner.claims.pulse import renew_after
from runner.errors import UserError
from runner.host import Host
from runner.lifecycle import Stage
from runner.loop.trajectory import Trajectory
from runner.models import Model, Reply, Request
from runner.seen import unmoved_for
from runner.stage import hooks, publish
from runner.stage.place import place_of

BUILD = "agents/greet/build"
STAGES = ["design", "build", "complete"]


@pytest.fixture(scope="module")
def designed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone of a bare hub where everything is merged by policy; its design is done."""
    top = tmp_path_factory.mktemp("designed")
    with pytest.MonkeyPatch.context() as patch:
        at_home(top, patch)
        folder = project(top / "clone", agents=settings(review=AUTO))
        add_task(folder, stages=STAGES)
        bare_hub(folder, top / "hub.git")
        Scene(folder).run(turns=2)
    yield top


@pytest.fixture
def scene(designed: Path, tmp_path: Path, person: Path) -> Scene:
    """One like it."""
    return copied(designed, tmp_path)


def on_hub(scene: Scene, rev: str, path: str) -> str:
    return git(Path(scene.site.hub.url), "show", f"{rev}:{path}")


class Interrupting:
    """A model at whose reply number `at` something happens first, outside."""

    def __init__(self, model: Model, at: int, deed: Callable[[], object]) -> None:
        self.model, self.at, self.deed = model, at, deed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def reply(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        if request.turn == self.at:
            self.deed()
        return self.model.reply(request, on_text)


def during(scene: Scene, stage: Stage, at: int, deed: Callable[[], object]) -> Host:
    """A host on which something happens, once, before the agent's reply number `at` in a stage."""
    host, deeds, wanted = scene.host(), [deed], stage

    def model(agent: Agent, stage: Stage) -> Model:
        if stage is not wanted:
            return host.model(agent, stage)
        return Interrupting(host.model(agent, stage), at, lambda: deeds and deeds.pop()())

    return replace(host, model=model)


# --- people's commits ----------------------------------------------------------------------------------------------


def test_what_people_push_while_the_agent_works_is_kept_and_gated(scene: Scene) -> None:
    host = during(scene, Stage.BUILD, 1, lambda: scene.push_onto(BUILD, {"more.txt": "more\n"}))
    steps = [type(step.action).__name__ for step in worker.run(host)]
    assert steps[:3] == ["Claim", "Propose", "Merge"], "the gates ran again on what people pushed"
    assert scene.state().current is None
    assert on_hub(scene, "main", "more.txt") == "more" and "goodbye" in on_hub(scene, "main", "greeting.txt")
    assert "their commits are kept: more.txt" in on_hub(scene, "main", "tasks/greet/updates.jsonl")


def test_what_people_push_and_breaks_the_checks_is_found_by_the_gates(scene: Scene) -> None:
    host = during(scene, Stage.BUILD, 1, lambda: scene.push_onto(BUILD, {"tests/no.sh": "exit 1\n"}))
    for step in worker.run(host):
        if step.state.open is not None and step.state.open.entry.hold is not None:
            assert "gate failed: checks" in step.state.open.entry.hold.reason
            return
    raise AssertionError("never held")


def test_where_people_and_the_agent_conflict_theirs_stands_path_by_path(scene: Scene) -> None:
    mine = owned(scene)
    scene.push_onto(BUILD, {"greeting.txt": "hello\ntheirs\n"})
    repo = mine.host.repo
    files = {"greeting.txt": b"hello\nours\n", "new.txt": b"ours\n"}
    tree = git_.tree_with(repo, git_.tree_of(repo, mine.head), files)
    assert isinstance(mine.push(mine.commit(tree, "ours\n")), Won)
    assert on_hub(scene, BUILD, "greeting.txt") == "hello\ntheirs" and on_hub(scene, BUILD, "new.txt") == "ours"
    assert mine.met == ("greeting.txt",)


def test_the_agent_is_given_what_people_pushed_at_the_next_renewal(scene: Scene) -> None:
    mine = owned(scene)
    times = [0.0]
    mine.clock, mine.pushed = lambda: times[0], 0.0
    place = place_of(mine)
    with Trajectory.open(place.trajectory) as trajectory:
        publish.lay_out(mine, place.space, mine.head)
        around = hooks.Hooks(mine, place.space, trajectory, "", lambda: None)
        scene.push_onto(BUILD, {"more.txt": "more\n"})
        (place.space.src / "own.txt").write_text("own\n")
        times[0] = 1800 / 4
        said = around.before()
        around.close()
    assert isinstance(said, tuple) and "more.txt" in said[0].text
    assert (place.space.src / "more.txt").read_text() == "more\n" and (place.space.src / "own.txt").exists()


def test_who_stops_a_run_leaves_its_steps_on_the_hub_for_another_host(scene: Scene, tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(worker.run(during(scene, Stage.BUILD, 1, stop)))
    said = on_hub(scene, "refs/pullwright/trajectories/greet/build.1", "trajectory.jsonl")
    assert '"kind":"result"' in said, said
    assert "goodbye" in on_hub(scene, BUILD, "greeting.txt")
    entry = Scene(clone(Path(scene.site.hub.url), tmp_path / "other")).state().open
    assert entry is not None and (entry.entry.state, entry.entry.steps) == ("working", 1)
    scene.run()
    assert scene.state().current is None
    steps = re.findall(r"steps: (\d+)", on_hub(scene, "main", "tasks/greet/record.yaml"))
    assert steps == ["2", "2", "2"], "and no step was taken twice"


def test_a_stage_branch_deleted_under_way_is_said_and_the_next_attempt_has_the_next_number(scene: Scene) -> None:
    host = during(scene, Stage.BUILD, 1, lambda: git(scene.folder, "push", "-q", "origin", f":{BUILD}"))
    list(worker.run(host))
    assert any(f"{BUILD} is no longer there: somebody deleted it" in line for line in scene.said)
    assert scene.state().current is None
    assert "attempt: 2" in on_hub(scene, "main", "tasks/greet/record.yaml")


def test_another_host_knows_the_number_of_an_attempt_whose_branch_is_gone(scene: Scene, tmp_path: Path) -> None:
    owned(scene)
    git(scene.folder, "push", "-q", "origin", f":{BUILD}")
    assert Scene(clone(Path(scene.site.hub.url), tmp_path / "other")).state().attempts == 1


def test_an_attempt_that_was_seen_by_half_is_not_followed_by_another(scene: Scene) -> None:
    before = scene.look()
    mine = owned(scene)
    half = before.refs._replace(ours=scene.look().refs.ours)  # as if it was claimed between two lines of the list
    state = progress.task_state(scene.site, half, before.settings, before.state("greet").task)
    assert (state.open, state.attempts) == (None, 1)
    answer = taking.claim(scene.host(), before.settings, state, before.settings.agents[0], Stage.BUILD, 2, half)
    assert answer == Lost("an earlier attempt at build of greet was claimed meanwhile: look again")
    there = scene.look().refs.branches
    assert {name: head for name, head in there.items() if name.startswith(BUILD)} == {BUILD: mine.head}


def test_a_stage_branch_checked_out_in_the_hub_holds_nothing_up_but_itself(tmp_path: Path, person: Path) -> None:
    folder = project(tmp_path / "own", agents=settings(review=AUTO))
    add_task(folder, stages=STAGES)
    scene = Scene(folder)
    scene.run(turns=2)
    host = during(scene, Stage.BUILD, 1, lambda: git(folder, "checkout", "-q", BUILD))
    with pytest.raises(UserError, match=f"(?s){BUILD}.*check out another one"):
        list(worker.run(host))
    git(folder, "checkout", "-q", "main")
    scene.run()
    assert scene.state().current is None
    assert "steps: 2" in git(folder, "show", "main:tasks/greet/record.yaml"), "the work done before was not lost"


# --- who owns it ---------------------------------------------------------------------------------------------------


def test_an_attempt_that_a_person_ended_is_not_brought_back_by_its_owner(scene: Scene, tmp_path: Path) -> None:
    mine = owned(scene)
    other = Scene(clone(Path(scene.site.hub.url), tmp_path / "other"))
    state = other.state()
    assert state.open is not None
    assert isinstance(taking.close(other.host(), state, state.open, ()), Won)
    answer = mine.push(mine.commit(git_.tree_of(mine.host.repo, mine.head), "late\n"))
    assert answer == Lost(f"{BUILD} is no longer ours: it is closed")


def test_a_rewritten_branch_is_not_ours_any_more(scene: Scene) -> None:
    mine = owned(scene)
    scene.fetch()
    tree = git(scene.folder, "rev-parse", f"origin/{BUILD}^{{tree}}")
    made = git(scene.folder, "commit-tree", tree, "-p", f"origin/{BUILD}^", "-m", "rewritten")
    git(scene.folder, "push", "-q", "--force", "origin", f"{made}:refs/heads/{BUILD}")
    answer = mine.push(mine.commit(git_.tree_of(mine.host.repo, mine.head), "late\n"))
    assert answer == Lost(f"{BUILD} is no longer ours: somebody has rewritten it")


def test_a_second_process_that_looked_too_early_does_not_do_the_work_again(scene: Scene) -> None:
    owned(scene)
    view = scene.look()
    scene.run(turns=1)  # the first process goes on meanwhile
    answer = taking.again(scene.host(), view.settings, view.state("greet"), view.refs.ours)
    assert answer == Lost(f"{BUILD} has moved: look again")


# --- renewal -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [3, 4, 10, 30, 1440])
def test_a_lease_is_renewed_within_a_third_and_not_twice_a_minute(minutes: int) -> None:
    for part in (0.25, 0.3):
        assert 60 <= renew_after(minutes * 60.0, part) <= minutes * 60.0 / 3


def test_a_very_short_lease_is_renewed_within_a_third_all_the_same() -> None:
    assert renew_after(2.0, 0.25) <= 2.0 / 3


def test_steps_push_only_when_the_renewal_is_due(scene: Scene) -> None:
    mine = owned(scene)
    times = [0.0]
    mine.clock, mine.pushed = lambda: times[0], 0.0
    place = place_of(mine)
    pushes = []
    with Trajectory.open(place.trajectory) as trajectory:
        publish.lay_out(mine, place.space, mine.head)
        around = hooks.Hooks(mine, place.space, trajectory, "", lambda: None)
        for second in range(0, 1801, 30):
            times[0] = float(second)
            before = mine.head
            around.before()
            if mine.head != before:
                pushes.append(second)
        around.close()
    assert pushes == [450, 900, 1350, 1800]


def test_a_hub_that_is_away_does_not_stop_the_work_until_the_lease_is_over(scene: Scene) -> None:
    mine = owned(scene)
    times = [0.0]
    mine.clock, mine.pushed = lambda: times[0], 0.0
    place, hub = place_of(mine), Path(scene.site.hub.url)
    with Trajectory.open(place.trajectory) as trajectory:
        publish.lay_out(mine, place.space, mine.head)
        around = hooks.Hooks(mine, place.space, trajectory, "", lambda: None)
        hub.rename(hub.with_suffix(".away"))
        times[0] = 460.0
        assert around.before() == ()
        times[0] = 1800.0
        stopped = around.before()
        assert isinstance(stopped, hooks.Stopped) and "cannot be reached" in stopped.reason
        hub.with_suffix(".away").rename(hub)
        times[0] = 1820.0
        assert around.before() == () and git(hub, "rev-parse", BUILD) == mine.head
        around.close()


def test_a_forge_that_makes_us_wait_has_no_more_than_half_of_the_time(scene: Scene) -> None:
    mine, times, heard = owned(scene), [0.0], list[float]()

    def listen() -> None:
        heard.append(times[0])
        times[0] += 180.0

    mine.clock, mine.pushed, mine.host = lambda: times[0], 0.0, replace(mine.host, listen=listen)
    place = place_of(mine)
    with Trajectory.open(place.trajectory) as trajectory:
        publish.lay_out(mine, place.space, mine.head)
        around = hooks.Hooks(mine, place.space, trajectory, "", lambda: None)
        while times[0] < 1000:
            times[0] += 20.0
            around.before()
    assert heard == [20.0, 380.0, 740.0]


def test_a_host_knows_only_what_it_has_seen_itself(tmp_path: Path) -> None:
    assert unmoved_for(tmp_path, "b", "one", 1000.0) == 0.0, "new to it, however old the commit"
    assert unmoved_for(tmp_path, "b", "one", 1500.0) == 500.0
    assert unmoved_for(tmp_path, "b", "two", 1600.0) == 0.0
    assert unmoved_for(tmp_path, "b", "two", 1500.0) == 0.0, "a clock that was set back"
    (tmp_path / "seen.json").write_text('{"b": ')
    assert unmoved_for(tmp_path, "b", "two", 9999.0) == 0.0


# --- what an interruption leaves -----------------------------------------------------------------------------------


class Crash(BaseException):
    """The process is gone: nothing that would tidy up runs but what Python itself unwinds."""


def crash() -> None:
    raise Crash


def test_what_people_pushed_while_we_were_away_is_not_undone_by_the_work_found_again(scene: Scene) -> None:
    with pytest.raises(Crash):
        list(worker.run(during(scene, Stage.BUILD, 1, crash)))
    scene.push_onto(BUILD, {"more.txt": "more\n", "tests/hello.sh": "grep -q hello greeting.txt # theirs\n"})
    scene.finish()
    assert on_hub(scene, "main", "more.txt") == "more" and "theirs" in on_hub(scene, "main", "tests/hello.sh")
    assert "goodbye" in on_hub(scene, "main", "greeting.txt")


def test_work_found_again_and_merged_with_peoples_is_lost_by_no_second_crash(scene: Scene) -> None:
    with pytest.raises(Crash):
        list(worker.run(during(scene, Stage.BUILD, 1, crash)))
    scene.push_onto(BUILD, {"more.txt": "more\n"})
    with pytest.raises(Crash):
        list(worker.run(during(scene, Stage.BUILD, 1, crash)))
    scene.finish()
    assert on_hub(scene, "main", "more.txt") == "more" and "goodbye" in on_hub(scene, "main", "greeting.txt")


def test_notes_on_both_sides_of_a_push_are_in_the_history_once(scene: Scene) -> None:
    text = settings(review=AUTO).replace("policy:\n", "policy:\n  lease: 2s\n")
    scene.on_main()
    commit(scene.folder, "Short leases", {"agents.yaml": text})
    git(scene.folder, "push", "-q", "origin", "main")
    told = story()
    wait = ("bash", {"command": "sleep 0.6"})  # until a renewal is due
    told["complete"][0:0] = [("note", {"text": "one"}), wait, ("note", {"text": "two"}), ("note", {"text": "three"})]
    scene.replies(told)
    for at in (2, 4):
        with pytest.raises(Crash):
            list(worker.run(during(scene, Stage.COMPLETE, at, crash)))
    scene.run()
    updates = on_hub(scene, "main", "tasks/greet/updates.jsonl").splitlines()
    assert [word for word in ("one", "two", "three") if sum(f'"{word}"' in update for update in updates) != 1] == []


def test_what_the_agent_noted_before_a_crash_is_in_the_history_once(scene: Scene) -> None:
    told = story()
    told["complete"][1:1] = [("note", {"text": "It is one line."}), ("progress", {"percent": 70})]
    scene.replies(told)
    for at in (2, 3, 3):  # after the note; after the progress; and there once more
        with pytest.raises(Crash):
            list(worker.run(during(scene, Stage.COMPLETE, at, crash)))
    assert scene.run() == ["greet complete Resume", "greet complete Merge"]
    updates = on_hub(scene, "main", "tasks/greet/updates.jsonl").splitlines()
    assert sum("It is one line." in update for update in updates) == 1
    assert "steps: 4" in on_hub(scene, "main", "tasks/greet/record.yaml"), "and no step was taken twice"


def test_what_a_rework_is_about_is_told_after_a_crash_too(scene: Scene) -> None:
    told = story()
    told["build"] = [
        ("bash", {"command": "echo goodbye > greeting.txt"}),
        ("finish", {"summary": "Done."}),
        ("bash", {"command": "{ echo hello; cat greeting.txt; } > new && mv new greeting.txt"}),
        ("finish", {"summary": "Mended."}),
    ]
    scene.replies(told)
    view = scene.look()
    while type(worker.plan(view)[0].action).__name__ != "Rework":
        scene.run(turns=1)
        view = scene.look()
    state = view.state("greet")
    agent = view.settings.agents[0]
    taken = taking.reclaim(
        scene.host(), view.settings, state, agent, "grep says no", view.refs.ours, counts=True
    )  # and then the host dies
    assert isinstance(taken, Lease)
    asked: list[str] = []
    host = scene.host()
    listening = replace(host, model=lambda agent, stage: Listening(host.model(agent, stage), asked))
    list(worker.run(listening, once=True))
    assert "grep says no" in asked[0] and scene.state().current == "build"
    scene.finish()


class Listening:
    """A model that writes down what it is asked."""

    def __init__(self, model: Model, asked: list[str]) -> None:
        self.model, self.asked = model, asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def reply(self, request: Request, on_text: Callable[[str], None] | None = None) -> Reply:
        self.asked.append("\n".join(message.text for message in request.messages))
        return self.model.reply(request, on_text)


def test_gates_that_were_interrupted_run_again_without_the_agent(repository: Path, tmp_path: Path) -> None:
    add_task(repository, stages=STAGES)
    bare_hub(repository, tmp_path / "hub.git")
    scene = Scene(repository)
    scene.to("complete")
    scene.push_onto("agents/greet/complete", {"more.txt": "more\n"})
    view = scene.look()
    state = view.state("greet")
    taken = taking.reclaim(
        scene.host(), view.settings, state, view.settings.agents[0], "the branch has changed since the gates ran",
        view.refs.ours, counts=False, gates_only=True,
    )  # fmt: skip
    assert isinstance(taken, Lease)
    asked: list[str] = []
    host = scene.host()
    list(worker.run(replace(host, model=lambda agent, stage: Listening(host.model(agent, stage), asked))))
    assert asked == [] and scene.state().open is not None
    scene.approve()
    assert on_hub(scene, "main", "more.txt") == "more"


def test_what_a_killed_git_left_locked_in_the_mirror_is_no_lock(scene: Scene) -> None:
    before = git(scene.folder, "rev-parse", "origin/main")
    scene.on_main()
    commit(scene.folder, "Meanwhile", {"other.txt": "other\n"})
    git(scene.folder, "push", "-q", "origin", "main")
    locks = [scene.site.repo.git_dir / "refs/remotes/hub/heads/main.lock", scene.site.repo.git_dir / "packed-refs.lock"]
    for lock in locks:
        lock.touch()
        os.utime(lock, (1, 1))
    assert scene.look().refs.base != before and not any(lock.exists() for lock in locks)


# --- the next attempt ----------------------------------------------------------------------------------------------


@pytest.fixture
def rejected(tmp_path: Path, person: Path) -> Scene:
    """A scene whose design was rejected and is to be tried again; `first` hands over to `second`."""
    second = {"name": "second", "model": "other", "provider": "scripted", "endpoint": ".pullwright/replies.yaml"}
    first = {**second, "name": "first", "escalation": ["second"], "max_complexity": 5}
    folder = project(tmp_path / "clone", agents=settings(first, {**second, "min_complexity": 6}))
    add_task(folder)
    bare_hub(folder, tmp_path / "hub.git")
    scene = Scene(folder)
    scene.to("design")
    scene.say("reject", text="the wrong way round")
    scene.say("retry")
    return scene


def story_of(scene: Scene) -> list[str]:
    updates = scene.state().updates
    assert len({update.id for update in updates}) == len(updates)
    return [update.content for update in updates]


@pytest.mark.parametrize("killed", [False, True])
def test_the_next_attempt_goes_on_from_the_one_before_even_if_its_closing_was_the_last_deed(
    rejected: Scene, killed: bool
) -> None:
    before = story_of(rejected)
    if killed:
        state = rejected.state()
        assert state.open is not None
        taking.close(rejected.host(), state, state.open, state.commands)
    assert rejected.run() == ["greet design Claim"]
    state = rejected.state()
    assert state.open is not None and (state.open.ref.attempt, state.open.entry.agent) == (2, "second")
    assert story_of(rejected)[: len(before)] == before, "no pushed line is lost"
    record = progress.kept(rejected.site.repo, state.open.head, "greet").record
    assert record is not None
    assert [(past.stage, past.entry.attempt, past.entry.state) for past in record.attempts] == [("design", 1, "closed")]
