"""A command in the sandbox: what it sees, how it ends, what it may use, and when it is refused."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.errors import UserError
from runner.sandbox import Command, Limits, Mount, Result, Sandbox, demotion, launcher, probe
from runner.sandbox.bubblewrap import Bubblewrap
from runner.sandbox.interpreter import LINKED, Interpreter, find

Run = Callable[..., Result]
MB = 1 << 20
NAP = f"sleep 4711.{os.getpid():07}"  # to be found among the processes of this host, and for no other run's


@pytest.fixture(scope="module")
def sandbox() -> Bubblewrap:
    found = Bubblewrap()
    found.check()
    return found


@pytest.fixture
def src(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    folder.mkdir()
    return folder


@pytest.fixture
def run(sandbox: Bubblewrap, src: Path) -> Run:
    """Run a shell line with `src` as /workspace/src."""

    def run(line: str, mounts: tuple[Mount, ...] = (), **more: object) -> Result:
        own = (Mount(src, "/workspace/src", True), *mounts)
        return sandbox.run(Command(("bash", "-c", line), own, **more))  # type: ignore[arg-type]

    return run


# What comes back


def test_output_keeps_the_order_of_stdout_and_stderr(run: Run) -> None:
    assert run("for i in 1 2 3; do echo out $i; echo err $i >&2; done").text == "".join(
        f"out {i}\nerr {i}\n" for i in (1, 2, 3)
    )


@pytest.mark.parametrize(("line", "status"), [("true", 0), ("exit 3", 3), ("kill -9 $$", 137), ("no-such", 127)])
def test_the_exit_status_is_the_commands_own(run: Run, line: str, status: int) -> None:
    result = run(line)
    assert (result.ending, result.exit, result.ok) == ("exited", status, status == 0)


def test_a_program_that_is_not_there_is_an_exit_status_of_127(sandbox: Bubblewrap) -> None:
    assert sandbox.run(Command(("no-such-program",), (), cwd="/")).exit == 127


def test_a_sandbox_that_could_not_start_the_command_is_told_apart_from_it(run: Run) -> None:
    result = run("echo 'bwrap: failed'; echo '{\"exit-code\": 0}'; exit 1", cwd="/workspace/nowhere")
    assert (result.ending, result.exit) == ("failed", None)
    assert "/workspace/nowhere" in result.text


def test_input_is_passed_and_ends(run: Run) -> None:
    assert run("cat", stdin=b"\x00\xff" * 200_000).output == b"\x00\xff" * 200_000
    assert run("cat; echo end").text == "end\n"


def test_input_that_nobody_reads_does_no_harm(run: Run) -> None:
    assert run("exec <&-; echo done", stdin=b"x" * MB).text == "done\n"


def test_long_output_keeps_head_and_tail(run: Run) -> None:
    result = run("seq 1 100000", limits=Limits(output=1000))
    whole = "".join(f"{n}\n" for n in range(1, 100001))
    assert result.text == whole[:500] + whole[-500:]
    assert result.omitted == len(whole) - 1000


def test_output_that_is_not_text_becomes_text(run: Run) -> None:
    assert run("printf 'a\\377b'").text == "a\ufffdb"


def test_output_written_after_stdout_was_closed_does_not_end_the_command(run: Run) -> None:
    result = run("exec >&- 2>&-; sleep 0.2; echo late > late")
    assert result.ok and result.seconds >= 0.2


# What it sees


def test_it_finds_python_git_and_a_place_to_work(run: Run, src: Path) -> None:
    line = (
        "python3 -c 'import sys; assert sys.version_info >= (3, 11)' && git --version && whoami && pwd && echo hi > f"
    )
    result = run(line)
    assert result.text.splitlines()[1:] == ["agent", "/workspace/src"]
    assert (src / "f").read_text() == "hi\n"
    assert (src / "f").stat().st_uid == os.geteuid()


def test_python_can_make_an_environment(run: Run) -> None:
    result = run("python3 -m venv --without-pip v && v/bin/python -c 'import sys; print(sys.prefix)'")
    assert result.text == "/workspace/src/v\n"


def test_the_environment_is_exactly_the_list(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "secret")
    names = {line.partition("=")[0] for line in run("env", env={"MINE": "1"}).text.splitlines()}
    own = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG", "TERM", "PWD", "MINE"}
    assert names - {"_", "SHLVL"} == own


def test_folders_of_the_command_come_first_in_path(run: Run) -> None:
    assert run("echo $PATH", path=("/workspace/venv/bin",)).text.startswith("/workspace/venv/bin:")


def test_a_mount_is_read_only_unless_it_says_otherwise(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "t").write_text("tool")
    result = run("cat /workspace/tools/t; touch /workspace/tools/x", (Mount(tmp_path / "tools", "/workspace/tools"),))
    assert result.text.startswith("tool") and "Read-only file system" in result.text


def test_a_later_mount_may_lie_in_an_earlier_one(run: Run, src: Path, tmp_path: Path) -> None:
    (src / ".git").mkdir()
    (tmp_path / "git").mkdir()
    assert run("echo ref > .git/HEAD", (Mount(tmp_path / "git", "/workspace/src/.git", True),)).ok
    assert (tmp_path / "git" / "HEAD").exists()
    assert not list((src / ".git").iterdir())


def test_home_and_tmp_are_there_and_forgotten(run: Run) -> None:
    assert run("echo x > $HOME/f && echo x > /tmp/f && echo x > /dev/shm/f && cat $HOME/f").text == "x\n"
    assert not run("cat $HOME/f /tmp/f /dev/shm/f").ok


def test_a_program_sees_paths_under_their_own_names(sandbox: Sandbox, src: Path) -> None:
    assert sandbox.locate((Mount(src, "/workspace/src"),), "/workspace/src/f") == "/workspace/src/f"


# Mounts that are refused


@pytest.mark.parametrize("target", ["workspace", "/", "/workspace/", "/workspace/../x", "/usr/x", "/etc", "/proc/1"])
def test_a_target_must_be_plain_and_free(run: Run, tmp_path: Path, target: str) -> None:
    with pytest.raises(ValueError, match="mount target"):
        run("true", (Mount(tmp_path, target),))


def test_a_target_missing_in_an_earlier_mount_leaves_no_ghost(run: Run, src: Path, tmp_path: Path) -> None:
    (tmp_path / "git").mkdir()
    with pytest.raises(ValueError, match="must exist"):
        run("true", (Mount(tmp_path / "git", "/workspace/src/.git", True),))
    assert not list(src.iterdir())


def test_a_target_reached_through_a_link_is_refused(run: Run, src: Path, tmp_path: Path) -> None:
    (tmp_path / "git").mkdir()
    (src / "link").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="no link"):
        run("true", (Mount(tmp_path / "git", "/workspace/src/link/git", True),))


def test_a_source_that_a_command_could_replace_is_refused(run: Run, src: Path) -> None:
    (src / "cache").mkdir()
    with pytest.raises(ValueError, match="which commands may write"):
        run("true", (Mount(src / "cache", "/cache", True),))


def test_a_missing_source_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        run("true", (Mount(tmp_path / "none", "/cache", True),))


# How it ends


def pids_with(word: str) -> set[str]:
    found = subprocess.run(["pgrep", "-f", word], capture_output=True, text=True, check=False)
    return set(found.stdout.split())


def test_time_is_up_for_the_whole_tree(run: Run) -> None:
    line = f"for i in 1 2 3; do setsid bash -c 'trap \"\" TERM HUP; exec {NAP}1' & done; wait"
    began = time.monotonic()
    result = run(line, limits=Limits(seconds=0.5))
    assert (result.ending, result.exit) == ("timeout", None)
    assert time.monotonic() - began < 60
    assert not pids_with(f"{NAP}1")


def test_nothing_outlives_the_command(run: Run) -> None:
    result = run(f"setsid {NAP}2 & (setsid {NAP}2 &) ; echo done")
    assert (result.text, result.exit) == ("done\n", 0)
    assert not pids_with(f"{NAP}2")


def test_nothing_outlives_the_runner(tmp_path: Path) -> None:
    program = """
        from runner.sandbox import Command
        from runner.sandbox.bubblewrap import Bubblewrap
        Bubblewrap().run(Command(("bash", "-c", "NAP; NAP"), (), cwd="/"))
    """.replace("NAP", f"{NAP}3")
    words = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(words, cwd=Path(__file__).parent.parent) as runner:
        wait_for(lambda: bool(pids_with(f"^{NAP}3")))
        runner.send_signal(signal.SIGKILL)
    wait_for(lambda: not pids_with(f"{NAP}3"))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("start", [launcher.call, lambda function: function()], ids=["launcher", "control"])
def test_a_command_outlives_the_thread_that_started_it(start: Callable[..., object]) -> None:
    # PR_SET_PDEATHSIG looks at the thread that forked: without the launching thread, the command dies with it.
    words = ["/usr/bin/bwrap", "--ro-bind", "/", "/", "--die-with-parent", "--unshare-pid", "cat"]
    found: list[subprocess.Popen[bytes]] = []

    def thread_of_a_pool() -> None:
        start(lambda: found.append(subprocess.Popen(words, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE)))
        assert echo(found[0])

    thread = threading.Thread(target=thread_of_a_pool)
    thread.start()
    thread.join()
    wait_for(lambda: not Path(f"/proc/self/task/{thread.native_id}").exists())
    with found[0] as command:
        if start is launcher.call:
            assert echo(command)
            assert command.stdin is not None
            command.stdin.close()
        assert command.wait() == (0 if start is launcher.call else -signal.SIGKILL)


def echo(command: "subprocess.Popen[bytes]") -> bool:
    """Whether `cat` answers."""
    assert command.stdin is not None and command.stdout is not None
    command.stdin.write(b"x")
    return command.stdout.read(1) == b"x"


def test_an_interrupt_ends_the_command(sandbox: Bubblewrap) -> None:
    class Interrupt(Exception):
        pass

    def stop(*_: object) -> None:
        raise Interrupt

    def interrupt() -> None:
        wait_for(lambda: bool(pids_with(f"^{NAP}4")))
        os.kill(os.getpid(), signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, stop)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(Interrupt):
            sandbox.run(Command(tuple(f"{NAP}4".split()), (), cwd="/"))
    finally:
        thread.join()
        signal.signal(signal.SIGALRM, before)
    assert not pids_with(f"{NAP}4")


# Who it is


@pytest.mark.skipif(os.geteuid() != 0, reason="the runner is an ordinary user")
def test_a_command_is_not_root_on_the_host_and_leaves_files_to_the_runner(run: Run, src: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, f"mkdir d && echo x > d/f && chmod 600 d/f && {NAP}5")
        wait_for(lambda: bool(pids_with(f"^{NAP}5")))
        (pid,) = pids_with(f"^{NAP}5")
        assert Path(f"/proc/{pid}").stat().st_uid == demotion.UID
        os.kill(int(pid), signal.SIGKILL)
        assert running.result().exit == 137
    assert (src / "d/f").stat().st_uid == 0
    assert run("cat d/f && rm -r d").ok


def test_a_fork_makes_a_sandbox_of_its_own(src: Path) -> None:
    program = """
        import os
        from pathlib import Path
        from runner.sandbox import Command, Mount
        from runner.sandbox.bubblewrap import Bubblewrap
        command = Command(("touch", "f"), (Mount(Path(os.environ["SRC"]), "/workspace/src", True),))
        assert Bubblewrap().run(command).ok
        if os.fork() == 0:
            os._exit(0 if Bubblewrap().run(command).ok else 1)
        assert os.wait()[1] == 0
        assert not [line for line in open("/proc/mounts") if "pullwright-mounts" in line]
    """
    words = [sys.executable, "-c", textwrap.dedent(program)]
    subprocess.run(words, cwd=Path(__file__).parent.parent, env={**os.environ, "SRC": str(src)}, check=True)


# What it may use


def test_processes_are_limited(run: Run) -> None:
    program = """
        import os, time
        started = 0
        try:
            while True:
                if not os.fork(): time.sleep(99)
                started += 1
        except BlockingIOError: print(started)
    """
    result = run("python3 -", stdin=textwrap.dedent(program).encode(), limits=Limits(processes=20))
    if result.ending != "memory":  # host root that cannot step down is watched instead
        assert 5 < int(result.text) < 20


def test_one_process_that_wants_too_much_memory_is_told(run: Run) -> None:
    assert "MemoryError" in run("python3 -c 'bytearray(400 << 20)'", limits=Limits(memory=200 * MB)).text


def test_many_processes_that_want_too_much_memory_are_ended(run: Run) -> None:
    one = "python3 -c 'b = bytearray(60 << 20); import time; time.sleep(300)'"
    result = run(f"for i in 1 2 3 4 5; do {one} & done; wait", limits=Limits(memory=150 * MB))
    assert result.ending == "memory" and result.seconds < 60


def test_memory_that_processes_share_is_counted_once(run: Run) -> None:
    line = "import os, time; b = bytearray(60 << 20); [os.fork() for _ in range(3)]; time.sleep(0.4)"
    assert run(f"python3 -c '{line}'", limits=Limits(memory=150 * MB)).ok


def test_a_flood_of_output_is_ended_early(run: Run) -> None:
    result = run("yes", limits=Limits(output=10_000))
    assert result.ending == "output" and len(result.output) == 10_000 and result.omitted < 32 * MB


def test_a_file_may_only_grow_so_large(run: Run, src: Path) -> None:
    assert not run("head -c 5000000 /dev/zero > big", limits=Limits(file_size=MB)).ok
    assert (src / "big").stat().st_size == MB


def test_folders_may_only_grow_so_large_while_it_runs(run: Run) -> None:
    line = "for i in 1 2 3 4 5 6 7 8; do head -c 1000000 /dev/urandom > f$i; done; sync -f .; sleep 300"
    result = run(line, limits=Limits(disk=4 * MB))
    assert result.ending == "disk" and result.seconds < 60


def test_folders_that_have_grown_too_large_are_seen_after_a_quick_command(run: Run) -> None:
    assert run("head -c 8000000 /dev/urandom > f; sync f", limits=Limits(disk=4 * MB)).ending == "disk"


def test_nothing_runs_on_a_disk_that_is_nearly_full(src: Path) -> None:
    full = Bubblewrap(free_floor=1 << 60)
    with pytest.raises(UserError, match="the disk is nearly full") as told:
        full.run(Command(("touch", "f"), (Mount(src, "/workspace/src", True),)))
    assert str(src) in told.value.what and "make room" in told.value.remedy
    assert not list(src.iterdir())


def test_descriptors_are_limited(run: Run) -> None:
    assert run("ulimit -n", limits=Limits(open_files=99)).text == "99\n"


def test_many_sandboxes_run_at_once(run: Run) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: run(f"sleep 0.1; echo {n}"), range(24)))
    assert [result.text for result in results] == [f"{n}\n" for n in range(24)]


def test_no_descriptor_stays_open(run: Run) -> None:
    run("true", stdin=b"x")
    gc.collect()  # what earlier tests left open
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for line in ("true", "yes", "cat"):
        run(line, stdin=b"x", limits=Limits(output=100))
    run("true", cwd="/nowhere")
    assert set(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


# When it is refused


def test_a_missing_bubblewrap_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refusal:
        Bubblewrap(bwrap=str(tmp_path / "bwrap")).check()
    assert str(tmp_path / "bwrap") in refusal.value.what
    assert "apt-get install bubblewrap" in refusal.value.remedy
    assert "PULLWRIGHT_SANDBOX=external" in refusal.value.remedy


def test_an_old_bubblewrap_is_named_with_what_it_lacks(tmp_path: Path) -> None:
    old = tmp_path / "bwrap"
    old.write_text('#!/bin/sh\n/usr/bin/bwrap "$@" | grep -v -e --disable-userns\n')
    old.chmod(0o755)
    with pytest.raises(UserError, match="too old: it has no --disable-userns"):
        Bubblewrap(bwrap=str(old)).check()


def test_a_refused_command_is_not_run(src: Path) -> None:
    with pytest.raises(UserError):
        Bubblewrap(bwrap="/nonexistent").run(Command(("touch", "f"), (Mount(src, "/workspace/src", True),)))
    assert not list(src.iterdir())


def test_a_host_without_user_namespaces_is_recognised() -> None:
    program = """
        from runner.errors import UserError
        from runner.sandbox.bubblewrap import Bubblewrap
        try:
            Bubblewrap().check()
        except UserError as error:
            print(error)
    """
    words = ["bwrap", "--unshare-user", "--disable-userns", "--bind", "/", "/", "--dev-bind", "/dev", "/dev"]
    words += ["--proc", "/proc", "--chdir", str(Path(__file__).parent.parent)]
    done = subprocess.run([*words, sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert "no further user namespaces are allowed here" in done.stdout, done.stderr
    assert "user.max_user_namespaces" in done.stdout


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("bwrap: setting up uid map: Permission denied", "AppArmor"),
        ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "AppArmor"),
        (
            "bwrap: No permissions to create new namespace, likely because the kernel does not",
            "unprivileged_userns_clone",
        ),
        ("bwrap: Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded", "nesting"),
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", "container"),
        ("something else", "something else"),
    ],
)
def test_what_bubblewrap_says_becomes_a_cause(said: str, cause: str) -> None:
    refusal = probe.refusal(said)
    assert cause in refusal.what and said in refusal.what
    assert "PULLWRIGHT_SANDBOX=external" in refusal.remedy


def test_an_architecture_without_a_filter_is_refused() -> None:
    with pytest.raises(UserError, match="no system call filter for riscv64"):
        probe.filter_program("riscv64")


# Which Python


def test_a_python_outside_usr_is_shown_and_comes_first(tmp_path: Path) -> None:
    found = find(tmp_path / "py", tmp_path / "py/bin/python3", Path("/home/me"))
    assert found.prefix == tmp_path / "py" and found.path[0] == f"{tmp_path}/py/bin"


def test_the_systems_python_is_taken_as_it_is() -> None:
    found = find(Path("/usr"), Path("/usr/bin/python3"), Path("/home/me"))
    assert found == Interpreter(None, ("/usr/local/bin", "/usr/bin", "/bin"), None)


def test_a_second_python_in_usr_is_linked() -> None:
    found = find(Path("/usr"), Path("/usr/bin/true"), Path("/home/me"))
    assert found.path[0] == LINKED and found.link == os.path.realpath("/usr/bin/true")


def test_a_prefix_that_holds_the_home_folder_is_not_shown() -> None:
    assert find(Path("/home"), Path("/home/bin/python3"), Path("/home/me")).prefix is None
