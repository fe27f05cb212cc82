"""People step in, in a person's words: what they do with plain Git and commands, and what the runner makes of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from repositories import AUTO, add_task, bare_hub, commit, first_parents, git, project, settings, story
from scenes import Scene, copied

from runner.errors import UserError

STAGES = "stages: [design, build, complete]\n"
At = Callable[[str], Scene]

REVIEWED = {**AUTO, "design": "human", "complete": "human"}


def fresh(place: Path) -> Scene:
    """A clone of a bare hub where people approve the design and the result."""
    second = {"name": "second", "model": "other", "provider": "scripted", "endpoint": ".pullwright/replies.yaml"}
    first = {**second, "name": "first", "model": "recording", "escalation": ["second"], "max_complexity": 5}
    clone = project(place / "clone", agents=settings(first, {**second, "min_complexity": 6}, review=REVIEWED))
    add_task(clone, stages=["design", "build", "complete"])
    bare_hub(clone, place / "hub.git")
    return Scene(clone)


@pytest.fixture
def scene(tmp_path: Path, person: Path) -> Scene:
    """The task has not begun."""
    return fresh(tmp_path)


@pytest.fixture(scope="module")
def reached() -> dict[str, Path]:
    """Where a scene lies that has come to a stage, for each that was wanted."""
    return {}


@pytest.fixture
def at(reached: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, person: Path) -> At:
    """Makes a scene whose task stands at a stage, with a proposal that waits, or at its `end`: come to once, copied."""

    def come(stage: str) -> Scene:
        if stage not in reached:
            place = tmp_path_factory.mktemp("reached")
            made = fresh(place)
            if stage == "end":
                made.finish()
            else:
                made.to(stage)
            reached[stage] = place
        return copied(reached[stage], tmp_path)

    return come


def hub_of(scene: Scene) -> Path:
    return Path(scene.site.hub.url)


def branches(scene: Scene) -> set[str]:
    return set(git(hub_of(scene), "for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines())


def on_hub(scene: Scene, path: str, rev: str = "main") -> str:
    return git(hub_of(scene), "show", f"{rev}:{path}")


def test_a_comment_sends_the_stage_back_and_what_was_said_is_in_the_history(at: At) -> None:
    told = story()
    shorter = told["design"][0][1]["content"] + "\nShorter.\n"
    told["design"].append(("write", {"path": "tasks/greet/design.md", "content": shorter}))
    told["design"].append(("finish", {"summary": "Shorter."}))
    scene = at("design")
    scene.replies(told)
    scene.say("comment", text="shorter, please")
    assert scene.run() == ["greet design Rework"]
    assert "Shorter." in on_hub(scene, "tasks/greet/design.md", "agents/greet/design")
    updates = on_hub(scene, "tasks/greet/updates.jsonl", "agents/greet/design")
    assert updates.count("shorter, please") >= 1 and '"actor":"Pat <pat@example.invalid>"' in updates
    assert "review" in scene.hold()
    scene.finish()


def test_rejected_work_is_retried_by_the_next_agent_and_nothing_of_the_first_attempt_is_lost(at: At) -> None:
    scene = at("design")
    scene.say("reject", text="the wrong way round")
    assert scene.run() == [] and scene.hold() == "rejected: the wrong way round"
    scene.say("retry")
    assert scene.run() == ["greet design Claim"]
    state = scene.state()
    assert state.open is not None and (state.open.branch, state.open.entry.agent) == ("agents/greet/design.2", "second")
    assert "agents/greet/design" in branches(scene)
    scene.finish()
    record = on_hub(scene, "tasks/greet/record.yaml")
    assert "attempt: 2" in record and "agent: first" in record
    assert "the wrong way round" in on_hub(scene, "tasks/greet/updates.jsonl")


@pytest.mark.parametrize("squashed", [False, True])
def test_a_reverted_result_holds_and_retry_begins_again(at: At, squashed: bool) -> None:
    scene = at("complete" if squashed else "end")
    if squashed:
        squash(scene, "agents/greet/complete", "main")
        assert scene.state().status == "complete"
        undo = ["HEAD"]
    else:
        undo = ["-m", "1", "HEAD"]
    scene.on_main()
    git(scene.folder, "revert", "--no-edit", *undo)
    git(scene.folder, "push", "-q", "origin", "main")
    assert scene.run() == [] and scene.hold() == "reverted"
    scene.say("retry")
    taken = scene.run()
    assert taken[0] == "greet design Claim"
    assert scene.state().open is not None
    scene.finish()
    assert "goodbye" in on_hub(scene, "greeting.txt")
    updates = on_hub(scene, "tasks/greet/updates.jsonl").splitlines()
    assert len(set(updates)) == len(updates) and len(updates) > 9


def squash(scene: Scene, branch: str, target: str) -> None:
    """A person merges a proposal as one commit that does not name it as a parent."""
    scene.fetch()
    git(scene.folder, "checkout", "-q", "-B", "own", f"origin/{target}")
    git(scene.folder, "merge", "-q", "--squash", f"origin/{branch}")
    git(scene.folder, "commit", "-q", "-m", f"{branch}, squashed")
    git(scene.folder, "push", "-q", "origin", f"own:{target}")
    git(scene.folder, "checkout", "-q", "main")


def test_a_stage_that_a_person_squashed_is_done_and_the_next_one_goes_on(at: At) -> None:
    scene = at("design")
    squash(scene, "agents/greet/design", "work/greet")
    assert scene.state().current == "build"
    scene.finish()
    assert first_parents(hub_of(scene))[0].startswith("Merge complete")


def test_a_person_may_simply_merge_the_stage_branch(at: At) -> None:
    scene = at("design")
    scene.fetch()
    git(scene.folder, "checkout", "-q", "-B", "own", "origin/work/greet")
    git(scene.folder, "merge", "-q", "--no-ff", "--no-edit", "origin/agents/greet/design")
    git(scene.folder, "push", "-q", "origin", "own:work/greet")
    git(scene.folder, "checkout", "-q", "main")
    assert scene.state().current == "build"
    scene.finish()


@pytest.mark.parametrize("answer", ["resume", "retry"])
def test_a_task_edited_under_way_holds_until_a_person_says_which_text_counts(at: At, answer: str) -> None:
    scene = at("design")
    commit(scene.folder, "Another wish", {"tasks/greet.yaml": f"title: Say goodbye twice\ncomplexity: 2\n{STAGES}"})
    git(scene.folder, "push", "-q", "origin", "main")
    assert scene.run() == [] and scene.hold().startswith("task changed")
    scene.say(answer)
    scene.run()
    frozen = scene.state().frozen
    assert frozen is not None
    assert frozen.title == ("Say goodbye" if answer == "resume" else "Say goodbye twice")
    scene.finish()


def test_priority_agent_and_budget_may_be_edited_at_any_time(at: At) -> None:
    scene = at("design")
    text = "title: Say goodbye\ncomplexity: 2\npriority: 9\nbudget: {steps: 500}\n" + STAGES
    commit(scene.folder, "Sooner", {"tasks/greet.yaml": text})
    git(scene.folder, "push", "-q", "origin", "main")
    assert "review" in scene.hold()


def test_a_task_file_that_is_gone_holds_and_one_that_moved_goes_on(at: At) -> None:
    scene = at("design")
    (scene.folder / "tasks" / "later").mkdir()
    git(scene.folder, "mv", "tasks/greet.yaml", "tasks/later/greet.yaml")
    git(scene.folder, "commit", "-q", "-m", "Moved")
    git(scene.folder, "push", "-q", "origin", "main")
    assert "review" in scene.hold()
    git(scene.folder, "rm", "-q", "tasks/later/greet.yaml")
    git(scene.folder, "commit", "-q", "-m", "Gone")
    git(scene.folder, "push", "-q", "origin", "main")
    assert scene.run() == [] and scene.hold().startswith("task removed")
    git(scene.folder, "revert", "--no-edit", "HEAD")
    git(scene.folder, "push", "-q", "origin", "main")
    scene.finish()


def test_base_that_moves_between_gate_and_merge_is_merged_in_and_gated_again(at: At) -> None:
    scene = at("complete")
    scene.on_main()
    commit(scene.folder, "Meanwhile", {"other.txt": "other\n"})
    git(scene.folder, "push", "-q", "origin", "main")
    with pytest.raises(UserError, match="base has moved"):
        scene.approve()
    assert scene.run() == ["greet complete Propose"]
    scene.approve()
    assert on_hub(scene, "other.txt") == "other" and "goodbye" in on_hub(scene, "greeting.txt")


def test_a_conflict_with_base_is_the_agents_work(at: At) -> None:
    told = story()
    told["complete"] += [("bash", {"command": "printf 'hello\\ngood day\\ngoodbye\\n' > greeting.txt"}),
                         ("finish", {"summary": "Both sides are kept."})]  # fmt: skip
    scene = at("complete")
    scene.replies(told)
    scene.on_main()
    commit(scene.folder, "Meanwhile", {"greeting.txt": "hello\ngood day\n"})
    git(scene.folder, "push", "-q", "origin", "main")
    assert scene.run() == ["greet complete Propose"]
    scene.approve()
    assert on_hub(scene, "greeting.txt") == "hello\ngood day\ngoodbye"
    assert scene.state().current is None


def test_a_fix_that_someone_pushed_to_the_stage_branch_is_kept_and_gated_again(at: At) -> None:
    scene = at("complete")
    scene.push_onto("agents/greet/complete", {"more.txt": "more\n"})
    with pytest.raises(UserError, match="changed since the gates ran"):
        scene.approve()
    assert scene.run() == ["greet complete Propose"]
    scene.approve()
    assert on_hub(scene, "more.txt") == "more"


def test_a_fix_that_breaks_the_checks_is_not_merged(at: At) -> None:
    scene = at("complete")
    scene.push_onto("agents/greet/complete", {"greeting.txt": "nothing\n"})
    scene.run(turns=1)
    with pytest.raises(UserError):
        scene.approve()
    assert "nothing" not in on_hub(scene, "greeting.txt")


def test_main_merged_into_a_stage_branch_by_someone_does_no_harm(at: At) -> None:
    scene = at("complete")
    scene.on_main()
    commit(scene.folder, "Meanwhile", {"other.txt": "other\n"})
    git(scene.folder, "push", "-q", "origin", "main")
    scene.fetch()
    git(scene.folder, "checkout", "-q", "-B", "own", "origin/agents/greet/complete")
    git(scene.folder, "merge", "-q", "--no-edit", "origin/main")
    git(scene.folder, "push", "-q", "origin", "own:agents/greet/complete")
    git(scene.folder, "checkout", "-q", "main")
    scene.run()
    scene.approve()
    assert scene.state().current is None and on_hub(scene, "other.txt") == "other"


def test_a_deleted_stage_branch_is_an_ended_attempt_and_the_next_has_the_next_number(at: At) -> None:
    scene = at("design")
    git(scene.folder, "push", "-q", "origin", ":agents/greet/design")
    scene.run()
    state = scene.state()
    assert state.open is not None and state.open.branch == "agents/greet/design.2"
    scene.finish()


def test_a_branch_that_somebody_named_like_a_claim_is_no_claim(scene: Scene) -> None:
    git(scene.folder, "push", "-q", "origin", "main:refs/heads/agents/greet/design")
    assert scene.run() == []
    assert scene.hold().startswith("foreign branch")
    git(scene.folder, "push", "-q", "origin", ":agents/greet/design")
    scene.finish()


def test_a_branch_called_agents_is_said_to_be_in_the_way(scene: Scene) -> None:
    git(scene.folder, "push", "-q", "origin", "main:refs/heads/agents")
    with pytest.raises(UserError, match="agents"):
        scene.run()
    git(scene.folder, "push", "-q", "origin", ":agents")
    scene.finish()


def test_a_paused_task_stays_paused_on_all_hosts(scene: Scene, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(hub_of(scene)), "elsewhere")
    other = Scene(tmp_path / "elsewhere")
    scene.say("pause")
    assert scene.run() == [] == other.run()
    assert scene.hold() == other.hold() == "paused"
    other.say("resume")
    scene.run()
    assert scene.state().current == "design"
    assert "review" in scene.hold()


def test_an_answered_question_wakes_the_stage(scene: Scene) -> None:
    told = story()
    told["design"] = [("ask", {"question": "In which language?"}), *told["design"]]
    scene.replies(told)
    scene.run()
    assert scene.hold() == "needs input: In which language?"
    scene.say("answer", text="English")
    scene.run()
    assert "review" in scene.hold()
    updates = on_hub(scene, "tasks/greet/updates.jsonl", "agents/greet/design")
    assert "In which language?" in updates and "answer English" in updates
    scene.finish()


def test_a_cancelled_task_rests_until_retry(at: At) -> None:
    scene = at("design")
    scene.say("cancel")
    assert scene.run() == [] and scene.hold() == "cancelled"
    scene.say("retry")
    scene.finish()


def test_set_status_backward_does_a_stage_again_and_keeps_the_earlier_attempt(at: At) -> None:
    scene = at("complete")
    scene.say("set-status", status="build")
    taken = scene.run()
    assert taken[0] == "greet build Claim"
    assert "agents/greet/build.2" in branches(scene)
    scene.finish()
    assert "attempt: 2" in on_hub(scene, "tasks/greet/record.yaml")


def test_set_status_forward_skips_stages_and_says_so(at: At) -> None:
    scene = at("design")
    scene.say("set-status", status="build")
    taken = scene.run()
    assert taken[0] == "greet build Claim"
    scene.finish()
    assert "skipped:" in on_hub(scene, "tasks/greet/record.yaml")


@pytest.mark.parametrize(
    ("verb", "args", "why"),
    [
        ("resume", {}, "not paused"),
        ("answer", {"text": "yes"}, "asks nothing"),
        ("assign", {"agent": "nobody"}, "no agent nobody"),
        ("set-status", {"status": "deploy"}, "no stage deploy"),
    ],
)
def test_a_command_that_makes_no_sense_now_is_refused_with_the_reason(
    at: At, verb: str, args: dict[str, str], why: str
) -> None:
    scene = at("design")
    with pytest.raises(UserError, match=why):
        scene.say(verb, **args)


def test_a_task_waits_for_those_it_depends_on(scene: Scene) -> None:
    add_task(scene.folder, "after", depends_on=["greet"], priority=9)
    git(scene.folder, "push", "-q", "origin", "main")
    assert scene.hold("after") == "waits for greet"
    scene.run()
    assert scene.state("after").status == "not_started"


def test_an_assigned_agent_takes_the_next_stage(scene: Scene) -> None:
    scene.say("assign", agent="second")
    scene.run()
    state = scene.state()
    assert state.open is not None and state.open.entry.agent == "second"


def test_a_budget_that_is_used_up_holds_and_a_larger_one_lets_it_go_on(scene: Scene) -> None:
    told = story()
    told["design"].insert(0, told["design"][0])  # the last turn that a budget allows is for finishing alone
    scene.replies(told)
    text = f"title: Say goodbye\ncomplexity: 2\nbudget: {{steps: 1}}\n{STAGES}"
    commit(scene.folder, "Little", {"tasks/greet.yaml": text})
    git(scene.folder, "push", "-q", "origin", "main")
    scene.run()
    assert scene.hold() == "budget: steps used up"
    scene.say("set-budget", budget={"steps": 100})
    scene.finish()
