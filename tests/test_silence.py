"""A hub that takes a connection and then says nothing: it is given up, looked at again, and nothing is lost."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from moods import Moods, moody
from repositories import COMMAND, add_task, at_home, bare_hub, git, project, settings, typed
from scenes import Scene, copied, owned
from service.running import serving

from runner import claims, commands, worker
from runner import git as git_
from runner.claims import Won, taking
from runner.claims.lease import Lease
from runner.decide import Resume
from runner.errors import UserError
from runner.git import Push, Repo, Silent, TooLong, init_bare, waiting
from runner.lifecycle import Stage, StageRef
from runner.loop.trajectory import Trajectory
from runner.stage import hooks, publish
from runner.stage.place import place_of

BUILD = "agents/greet/build"
DESIGN = "agents/greet/design"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets for how many seconds a hub may say nothing."""
    return lambda seconds: monkeypatch.setenv("PULLWRIGHT_HUB_SILENCE", str(seconds))


@pytest.fixture
def listener() -> Iterator[int]:
    """A port on which connections are taken and nothing is said."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield server.getsockname()[1]


@pytest.fixture
def mirror(tmp_path: Path, person: Path) -> Repo:
    return init_bare(tmp_path / "mirror.git")


@pytest.fixture(scope="module")
def claimable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone of a bare hub with one task of which nothing is done."""
    top = tmp_path_factory.mktemp("claimable")
    with pytest.MonkeyPatch.context() as patch:
        at_home(top, patch)
        folder = project(top / "clone", agents=settings())
        add_task(folder, stages=["build", "complete"])
        bare_hub(folder, top / "hub.git")
    yield top


@pytest.fixture
def hub(claimable: Path, tmp_path: Path, person: Path) -> Iterator[tuple[Scene, Moods]]:
    """One like it, whose hub is reached over HTTP and has moods."""
    folder = copied(claimable, tmp_path).folder
    git(tmp_path / "hub.git", "config", "http.receivepack", "true")
    with moody(tmp_path) as moods:
        git(folder, "remote", "set-url", "origin", f"{moods.url}/hub.git")
        yield Scene(folder), moods


def below(mark: str) -> list[str]:
    """The processes of this machine whose command line names `mark`."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if mark in words and place.parent.name != str(os.getpid()):
            found.append(words)
    return found


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for it, for a minute."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.02)


# --- a process -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["git", pytest.param("ssh", marks=pytest.mark.soak)])
def test_a_hub_that_takes_the_connection_and_says_nothing_is_given_up_and_nothing_stays(
    scheme: str, listener: int, mirror: Repo, impatient: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"127.0.0.1:{listener}"
    monkeypatch.setenv("GIT_SSH_COMMAND", f"sh -c 'sleep 3600; :' {address}")
    url = f"{scheme}://{address}/hub.git"
    impatient(0.2)
    with pytest.raises(Silent, match=r"nothing was heard for 0\.2 s") as told:
        git_.remote_refs(mirror, url)
    assert f"the hub {url} cannot be reached" in told.value.what and "PULLWRIGHT_HUB_SILENCE" in told.value.remedy
    with pytest.raises(Silent):
        git_.fetch(mirror, url, "+refs/heads/*:refs/remotes/hub/heads/*")
    made = git_.commit(mirror, git_.tree_with(mirror, None, {"a": b"a"}), [], "one")
    answer = git_.push(mirror, url, Push("refs/heads/main", made, ""))
    assert answer.flags == {} and isinstance(answer.silent, Silent)
    assert below(address) == []


def test_an_answer_that_stops_half_way_is_given_up(
    hub: tuple[Scene, Moods], impatient: Callable[[float], None]
) -> None:
    scene, moods = hub
    moods.mood = "half"
    impatient(0.3)
    with pytest.raises(Silent):
        git_.remote_refs(scene.site.repo, scene.site.hub.url)
    assert below(moods.url) == []


def drip(folder: Path, words: str) -> "subprocess.Popen[bytes]":
    """A program that Git's own name begins with, as all that are watched have."""
    program = folder / "git-drip"
    program.write_text(f"#!/bin/sh\n{words}\n")
    program.chmod(0o755)
    return subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_who_goes_on_speaking_may_take_as_long_as_it_takes(tmp_path: Path) -> None:
    with drip(tmp_path, "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13; do echo $n; sleep 0.1; done") as run:
        assert waiting.answer(run, b"", silent=1.0)[0].split()[-1] == b"13"
    with drip(tmp_path, "echo one; sleep 4243") as run, pytest.raises(subprocess.TimeoutExpired):
        waiting.answer(run, b"", silent=0.2)
    assert below("sleep 4243") == []


def test_a_hub_whose_hook_works_long_is_heard_to_work(tmp_path: Path, mirror: Repo) -> None:
    bare = tmp_path / "hub.git"
    git(tmp_path, "init", "-q", "--bare", str(bare))
    git(bare, "config", "receive.keepAlive", "1")
    (bare / "hooks").mkdir(exist_ok=True)
    hook = bare / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\nuntil [ -e done ]; do sleep 0.1; done\n")
    hook.chmod(0o755)
    made = git_.commit(mirror, git_.tree_with(mirror, None, {"a": b"a"}), [], "one")
    words = ["git", f"--git-dir={mirror.git_dir}", "push", "-q", str(bare), f"{made}:refs/heads/main"]
    with subprocess.Popen(words, stderr=subprocess.PIPE) as run:
        until(lambda: (bare / "objects/info").exists() and below(f"{bare}/hooks") + below("pre-receive"), "no hook")
        before = waiting.moved(run.pid)
        until(lambda: waiting.moved(run.pid) != before, "nothing moves while the hook works")
        (bare / "done").touch()
        run.communicate()
    assert run.returncode == 0 and git(bare, "rev-parse", "main") == made


def test_a_bound_in_seconds_ends_what_the_command_started_too(mirror: Repo) -> None:
    with pytest.raises(TooLong, match=r"not done within 0\.5 s"):
        git_.git(mirror, "-c", "alias.wait=!sleep 4244; :", "wait", seconds=0.5)
    assert below("sleep 4244") == []


def test_what_a_command_leaves_behind_does_not_keep_its_answer(tmp_path: Path) -> None:
    with drip(tmp_path, "sleep 20 & echo done") as run:
        assert waiting.answer(run, b"", silent=0.4)[0] == b"done\n"
    assert run.returncode == 0


@pytest.mark.parametrize("more", ["", "sleep 20 & "])
def test_what_a_command_said_at_the_moment_of_a_look_at_it_is_not_lost(tmp_path: Path, more: str) -> None:
    with drip(tmp_path, f"{more}echo why >&2; head -c 40000 /dev/zero") as run:
        run.wait(60)  # ended, and nothing of it read
        said = waiting.answer(run, b"", silent=1e-9)
    assert said == (bytes(40000), b"why\n")


def test_a_number_of_seconds_that_is_none_is_said(mirror: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    for given in ("soon", "0", "-1", "nan", "inf"):
        monkeypatch.setenv("PULLWRIGHT_HUB_SILENCE", given)
        with pytest.raises(UserError, match="PULLWRIGHT_HUB_SILENCE"):
            git_.remote_refs(mirror, "/nowhere")


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.soak)])
def test_who_ends_a_runner_that_waits_for_the_hub_ends_its_git_too(
    hub: tuple[Scene, Moods], number: signal.Signals
) -> None:
    scene, moods = hub
    moods.mood = "deaf"
    run = subprocess.Popen([*COMMAND, "run"], cwd=scene.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    until(lambda: moods.asked, "it never asked")
    run.send_signal(number)
    said = run.communicate(timeout=60)[0]
    assert run.returncode != 0 and b"Traceback" not in said
    assert below(moods.url) == []


def test_a_person_is_told_which_hub_is_silent_and_what_to_do(
    hub: tuple[Scene, Moods], impatient: Callable[[float], None]
) -> None:
    scene, moods = hub
    moods.mood = "deaf"
    impatient(0.2)
    for words in (["task", "list"], ["run"], ["review", "greet", "--comment", "Well done."], ["chat", "--list"]):
        ran = typed(scene.folder, *words)
        assert ran.status == 1 and f"{moods.url}/hub.git" in ran.err and "nothing was heard for 0.2 s" in ran.err, words
        assert "git ls-remote" in ran.err, words


# --- a push that may have landed -----------------------------------------------------------------------------------


def unanswered(moods: Moods, impatient: Callable[[float], None], push: Callable[[], object]) -> None:
    """Push to a hub that takes it and says nothing any more. With more patience where it was too slow to take it."""
    moods.taken.clear()
    moods.landed.clear()
    for seconds in (0.3, 3, 30):
        moods.mood = "gone"
        impatient(seconds)
        with pytest.raises(Silent):
            push()
        if moods.taken.is_set():
            break
    assert moods.landed.wait(60)
    moods.mood = "well"
    impatient(60)


@pytest.mark.soak
def test_a_claim_whose_answer_never_came_is_ours_as_soon_as_the_hub_shows_it(
    hub: tuple[Scene, Moods], impatient: Callable[[float], None]
) -> None:
    scene, moods = hub
    repo, url = scene.site.repo, scene.site.hub.url
    base = scene.look().refs.base
    made = git_.commit(repo, git_.tree_of(repo, base), [base], "A claim\n")
    moods.mood = "mute"
    impatient(1)
    assert claims.create(repo, url, StageRef("greet", Stage.BUILD, 1), made) == Won(made)


def test_a_claim_that_landed_at_a_hub_that_fell_silent_is_found_again_and_made_once(
    hub: tuple[Scene, Moods], impatient: Callable[[float], None]
) -> None:
    scene, moods = hub
    view, host = scene.look(), scene.host()
    agent, state = view.settings.agents[0], view.state("greet")
    unanswered(moods, impatient, lambda: taking.claim(host, view.settings, state, agent, Stage.BUILD, 1, view.refs))
    there = git(scene.folder.parent / "hub.git", "rev-parse", BUILD)
    (step,) = worker.plan(scene.look())
    assert isinstance(step.action, Resume), "it is ours, and the next turn goes on with it"
    assert git(scene.folder.parent / "hub.git", "log", "--format=%H", BUILD).count(there) == 1
    assert git(scene.folder.parent / "hub.git", "for-each-ref", "--format=%(refname)", "refs/heads/agents/") == (
        f"refs/heads/{BUILD}"
    )


def test_a_command_that_landed_at_a_hub_that_fell_silent_is_not_said_twice(
    hub: tuple[Scene, Moods], impatient: Callable[[float], None]
) -> None:
    scene, moods = hub
    repo, url, said = scene.site.repo, scene.site.hub.url, commands.new("pause", "Pat", "2026-01-01T00:00:00Z")
    unanswered(moods, impatient, lambda: commands.append(repo, url, commands.ref_of("greet"), said))
    commands.append(repo, url, commands.ref_of("greet"), said)
    assert len(git(scene.folder.parent / "hub.git", "log", "--format=%H", commands.ref_of("greet")).splitlines()) == 1


# --- a stage under way ---------------------------------------------------------------------------------------------


def test_the_owner_of_a_stage_works_on_while_the_hub_is_silent_and_pushes_later(
    hub: tuple[Scene, Moods], impatient: Callable[[float], None]
) -> None:
    scene, moods = hub
    mine = owned(scene)
    times = [0.0]
    mine.clock, mine.pushed = lambda: times[0], 0.0
    place = place_of(mine)
    with Trajectory.open(place.trajectory) as trajectory:
        publish.lay_out(mine, place.space, mine.head)
        around = hooks.Hooks(mine, place.space, trajectory, "", lambda: None)
        moods.mood = "deaf"
        impatient(0.1)
        for minute in (4, 7, 10):
            times[0] = minute * 60.0
            assert around.before() == (), "it works on"
        before = moods.asked
        assert around.before() == () and moods.asked == before, "the hub is not asked before every step"
        times[0] = 1800.0
        stopped = around.before()
        assert isinstance(stopped, hooks.Stopped) and "for a whole lease" in stopped.reason
        (place.space.src / "own.txt").write_text("own\n")
        moods.mood = "well"
        impatient(60)
        times[0] = 1900.0
        assert around.before() == () and mine.pushed == 1900.0
        around.close()
    assert git(scene.folder.parent / "hub.git", "show", f"{BUILD}:own.txt") == "own"


def test_a_service_whose_hub_is_silent_is_read_says_so_and_goes_on_when_it_speaks(
    hub: tuple[Scene, Moods], impatient: Callable[[float], None]
) -> None:
    scene, moods = hub
    with serving(scene.folder) as service:
        moods.mood = "deaf"
        impatient(0.2)
        until(lambda: "nothing was heard for 0.2 s" in service.stranger.get("/readyz").text, "it is called ready")
        assert service.stranger.get("/healthz").status_code == service.client.get("/api/tasks").status_code == 200
        refused = service.client.put("/api/tasks/greet/status", json={"status": "complete"})
        assert refused.status_code == 503 and f"{moods.url}/hub.git" in refused.json()["detail"]
        moods.mood = "well"
        impatient(60)
        until(lambda: service.stranger.get("/readyz").status_code == 200, "it never looked again")
        assert service.client.put("/api/tasks/greet/status", json={"status": "complete"}).status_code == 202


def changed(lease: Lease, text: str) -> str:
    """A commit of the agent's next state of the greeting, not pushed yet."""
    repo = lease.host.repo
    tree = git_.tree_with(repo, git_.tree_of(repo, lease.head), {"greeting.txt": text.encode()})
    return lease.commit(tree, f"{text}\n")


def test_what_a_push_without_an_answer_brought_does_not_undo_the_work_since(
    hub: tuple[Scene, Moods], impatient: Callable[[float], None]
) -> None:
    scene, moods = hub
    mine, bare = owned(scene), scene.folder.parent / "hub.git"
    first = changed(mine, "first\n")
    unanswered(moods, impatient, lambda: mine.push(first, b"one\n"))
    assert git(bare, "rev-parse", BUILD) == first, "it has landed, and we do not know"
    assert isinstance(mine.push(changed(mine, "second\n"), b"one\ntwo\n"), Won)
    assert git(bare, "show", f"{BUILD}:greeting.txt") == "second" and mine.met == ()
    assert git(bare, "rev-parse", BUILD) == mine.head
    assert git(bare, "show", "refs/pullwright/trajectories/greet/build.1:trajectory.jsonl") == "one\ntwo"
    assert "People pushed" not in git(bare, "show", f"{BUILD}:tasks/greet/updates.jsonl")


@pytest.mark.soak
def test_what_people_pushed_upon_such_a_push_is_kept_too(
    hub: tuple[Scene, Moods], impatient: Callable[[float], None]
) -> None:
    scene, moods = hub
    mine, bare = owned(scene), scene.folder.parent / "hub.git"
    first = changed(mine, "first\n")
    unanswered(moods, impatient, lambda: mine.push(first))
    scene.push_onto(BUILD, {"people.txt": "people's\n"})
    assert isinstance(mine.push(changed(mine, "second\n")), Won)
    assert git(bare, "show", f"{BUILD}:greeting.txt") == "second" and mine.met == ("people.txt",)
    assert git(bare, "show", f"{BUILD}:people.txt") == "people's"
