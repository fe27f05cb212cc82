"""The folder of an agent, and collecting what it made: its word is not taken for what its files are."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from runner import git, workspace
from runner.errors import ToolError
from runner.git import Repo
from runner.sandbox import Command, Limits, Result
from runner.sandbox.bubblewrap import Bubblewrap
from runner.sandbox.external import External
from runner.workspace import Workspace
from runner.workspace.inspection import COUNT_CAP, FILE_CAP, TOTAL_CAP, is_git_dir, survey

ROOT = Path(__file__).parent.parent
FOLDER = "tasks/t"
FILES: dict[str, bytes | None] = {
    "a.py": b"x = 1\n",
    "lib/b.py": b"y = 2\n",
    f"{FOLDER}/design.md": b"# Goal\n",
    f"{FOLDER}/output/kept.csv": b"1,2\n",
    f"{FOLDER}/research/page.md": b"found\n",
}


@pytest.fixture(scope="module")
def sandbox() -> Bubblewrap:
    return Bubblewrap()


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return git.init_bare(tmp_path / "repo.git")


@pytest.fixture
def tree(repo: Repo) -> str:
    return git.tree_with(repo, None, FILES)


@pytest.fixture
def space(tmp_path: Path, repo: Repo, tree: str) -> Workspace:
    made = workspace.at(tmp_path / "workspaces", "ann", "t", FOLDER)
    workspace.prepare(made, repo, tree, "read me\n")
    return made


def agent(sandbox: Bubblewrap, space: Workspace, line: str) -> Result:
    """A command of the agent."""
    done = sandbox.run(Command(("bash", "-c", line), space.mounts(), limits=Limits(seconds=60.0)))
    assert done.ending == "exited", done.text
    return done


def collected(space: Workspace, repo: Repo) -> dict[str, bytes]:
    """Path → content of what is collected; that of a link is where it leads."""
    found = git.files(repo, workspace.collect(space, repo))
    contents = git.blobs(repo, [file.blob for file in found])
    return {file.path: contents[file.blob] for file in found if file.mode != "160000"}


# Laying out and taking back


def test_output_and_research_lie_beside_the_files(space: Workspace) -> None:
    assert sorted(p.name for p in space.root.iterdir()) == ["README.md", "global", "output", "research", "src", "venv"]
    assert (space.root / "output" / "kept.csv").read_bytes() == b"1,2\n"
    assert not (space.src / FOLDER / "output").exists()
    assert (space.root / "README.md").read_text() == "read me\n"


def test_an_untouched_workspace_gives_the_same_tree(space: Workspace, repo: Repo, tree: str) -> None:
    assert workspace.collect(space, repo) == tree
    assert workspace.collect(space, repo) == tree


def test_what_the_agent_did_is_collected(space: Workspace, repo: Repo, sandbox: Bubblewrap) -> None:
    workspace.ensure_git(space, sandbox)
    agent(sandbox, space, "echo 'x = 3' > a.py; rm lib/b.py; ln -s a.py link; ln -s /no nowhere")
    agent(sandbox, space, "printf '#!/bin/sh\\n' > run; chmod +x run")
    agent(sandbox, space, "rm ../output/kept.csv; mkdir ../output/deep; echo 2 > ../output/deep/new.csv")
    assert collected(space, repo) == {
        "a.py": b"x = 3\n",
        "run": b"#!/bin/sh\n",
        "link": b"a.py",
        "nowhere": b"/no",
        f"{FOLDER}/design.md": b"# Goal\n",
        f"{FOLDER}/output/deep/new.csv": b"2\n",
        f"{FOLDER}/research/page.md": b"found\n",
    }
    modes = {file.path: file.mode for file in git.files(repo, workspace.collect(space, repo))}
    assert (modes["run"], modes["link"], modes["a.py"]) == ("100755", "120000", "100644")


def test_the_agent_finds_a_git_of_its_own_and_may_lose_it(space: Workspace, sandbox: Bubblewrap, repo: Repo) -> None:
    workspace.ensure_git(space, sandbox)
    assert agent(sandbox, space, "git status --short; git log --format=%s").text == "The work so far\n"
    agent(sandbox, space, "echo z > z; git add -A; git commit -qm mine; rm -rf .git/*")
    assert list((space.src / ".git").iterdir()) == [], "on the host it stays empty"
    workspace.ensure_git(space, sandbox)
    assert agent(sandbox, space, "git log --format=%s").text == "The work so far\n"
    assert "z" in collected(space, repo)


def test_what_tools_leave_behind_is_not_collected(space: Workspace, repo: Repo, tree: str) -> None:
    for name in (
        "__pycache__/a.cpython-311.pyc",
        "b.pyc",
        ".pytest_cache/x",
        "node_modules/y/z.js",
        ".venv/bin/python",
    ):
        (space.src / name).parent.mkdir(parents=True, exist_ok=True)
        (space.src / name).write_bytes(b"x")
    assert workspace.collect(space, repo) == tree


def test_what_the_repository_ignores_is_not_collected_but_what_is_under_output_is(space: Workspace, repo: Repo) -> None:
    (space.src / ".gitignore").write_text("output/\nconftest.py\n/build\n")
    (space.src / "conftest.py").write_text("cheat = True\n")
    (space.src / "build").mkdir()
    (space.src / "build" / "big").write_bytes(b"x")
    (space.root / "output" / "new.csv").write_text("1\n")
    found = collected(space, repo)
    assert {"conftest.py", "build/big"}.isdisjoint(found)
    assert {f"{FOLDER}/output/new.csv", f"{FOLDER}/output/kept.csv", ".gitignore"} <= set(found)


def test_output_that_lies_in_the_wrong_place_is_taken_too(space: Workspace, repo: Repo) -> None:
    (space.src / FOLDER / "output").mkdir()
    (space.src / FOLDER / "output" / "here.csv").write_text("1\n")
    (space.src / FOLDER / "research").write_text("a file where a folder belongs\n")
    found = collected(space, repo)
    assert {f"{FOLDER}/output/here.csv", f"{FOLDER}/output/kept.csv", f"{FOLDER}/research/page.md"} <= set(found)


def test_an_empty_workspace_is_an_empty_tree(space: Workspace, repo: Repo) -> None:
    for path in (*space.src.iterdir(), *(space.root / "output").iterdir(), *(space.root / "research").iterdir()):
        workspace.remove(path)
    assert git.files(repo, workspace.collect(space, repo)) == ()


def test_an_empty_repository_can_be_laid_out_and_filled(tmp_path: Path, repo: Repo) -> None:
    made = workspace.at(tmp_path / "w", "ann", "t", FOLDER)
    workspace.prepare(made, repo, git.tree_from(repo, None, []), "")
    assert collected(made, repo) == {}
    (made.src / "first").write_text("1")
    assert collected(made, repo) == {"first": b"1"}


def test_laying_out_again_takes_nothing_over_from_before(space: Workspace, repo: Repo, tree: str) -> None:
    (space.src / "left").write_text("x")
    (space.root / "output" / "left").write_text("x")
    workspace.collect(space, repo)
    workspace.prepare(space, repo, tree, "")
    assert workspace.collect(space, repo) == tree


# Byte for byte


ATTRIBUTES = (
    "text", "text=auto", "text eol=crlf", "eol=lf", "ident", "working-tree-encoding=UTF-16", "working-tree-encoding",
    "filter=lfs", "binary", "export-ignore", "-text", "crlf=input",
)  # fmt: skip


@pytest.mark.parametrize("words", ATTRIBUTES)
def test_the_round_trip_is_exact_under_every_attribute(repo: Repo, tmp_path: Path, words: str) -> None:
    contents = (
        b"lf\n",
        b"crlf\r\n",
        b"both\r\n\n",
        b"cr\r",
        b"$Id$\n",
        b"$Id: 1 $\n",
        b"\xff\xfe\x00",
        b"\xef\xbb\xbfx",
        b"",
    )
    named: dict[str, bytes | None] = {f"f{number}": data for number, data in enumerate(contents)}
    tree = git.tree_with(repo, None, {".gitattributes": f"* {words}\n".encode(), **named})
    made = workspace.at(tmp_path / "w", "ann", "t", FOLDER)
    workspace.prepare(made, repo, tree, "")
    assert workspace.collect(made, repo) == tree
    for name in named:
        os.utime(made.src / name, (1, 1))  # so that Git looks at the contents again
    assert workspace.collect(made, repo) == tree


def test_attributes_of_the_agent_change_nothing_that_is_collected(space: Workspace, repo: Repo) -> None:
    (space.src / ".gitattributes").write_text("[attr]evil filter=x text eol=crlf working-tree-encoding=UTF-7\n* evil\n")
    (space.src / "new.py").write_bytes(b"+AGE-\r\n")
    found = collected(space, repo)
    assert (found["new.py"], found["a.py"]) == (b"+AGE-\r\n", b"x = 1\n")


def test_submodules_of_the_repository_stay_as_they_are(repo: Repo, tmp_path: Path) -> None:
    entry = [f"160000 {'1' * 40}\tvendor/lib"]
    tree = git.tree_from(repo, git.tree_with(repo, None, {"a": b"1"}), entry)
    made = workspace.at(tmp_path / "w", "ann", "t", FOLDER)
    workspace.prepare(made, repo, tree, "")
    assert (made.src / "vendor" / "lib").is_dir()
    assert workspace.collect(made, repo) == tree
    (made.src / "vendor" / "lib").rmdir()
    assert git.changed(repo, tree, workspace.collect(made, repo)) == {"vendor/lib": "D"}


# Planted programs


def plant(folder: Path, marker: Path) -> None:
    """A repository whose configuration runs a program on almost every command."""
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    program = folder / "evil.sh"
    program.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n")
    program.chmod(0o755)
    for key in (
        "core.fsmonitor",
        "filter.x.clean",
        "filter.x.smudge",
        "diff.x.textconv",
        "diff.external",
        "core.sshCommand",
    ):
        subprocess.run(["git", "-C", str(folder), "config", key, str(program)], check=True)
    hooks = folder / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "pre-commit", "reference-transaction"):
        shutil.copy(program, hooks / name)
    subprocess.run(["git", "-C", str(folder), "config", "core.hooksPath", str(hooks)], check=True)
    (folder / ".gitattributes").write_text("* filter=x diff=x\n")


def test_planted_programs_run_for_a_person_and_not_for_the_runner(space: Workspace, repo: Repo, tmp_path: Path) -> None:
    """The agent's own git dir, as it would be if it lay in the workspace (no mounts): nothing of it is in force."""
    marker = tmp_path / "ran"
    (space.src / ".git").rmdir()
    plant(space.src, marker)
    assert "evil.sh" in collected(space, repo)
    assert not marker.exists()
    subprocess.run(["git", "-C", str(space.src), "add", "-A"], check=True, capture_output=True)
    assert marker.exists(), "the control"


def test_a_git_dir_that_points_elsewhere_is_not_followed(
    space: Workspace, repo: Repo, tmp_path: Path, tree: str
) -> None:
    marker = tmp_path / "ran"
    plant(tmp_path / "evil", marker)
    (space.src / ".git").rmdir()
    (space.src / ".git").write_text(f"gitdir: {tmp_path / 'evil' / '.git'}\n")
    assert workspace.collect(space, repo) == tree
    assert not marker.exists()


@pytest.mark.parametrize("nested", ["sub", "lib", "deep/er", "../output/sub"])
def test_a_repository_inside_the_repository_is_refused(
    space: Workspace, repo: Repo, tmp_path: Path, nested: str
) -> None:
    marker = tmp_path / "ran"
    plant(space.src / nested, marker)
    subprocess.run(["git", "-C", str(space.src / nested), "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=",
                    "-c", "user.name=x", "-c", "user.email=x@x.invalid", "commit", "-q", "--allow-empty", "-m", "x"],
                   check=True)  # fmt: skip
    marker.unlink(missing_ok=True)
    with pytest.raises(ToolError, match="is a Git repository inside the repository"):
        workspace.collect(space, repo)
    assert not marker.exists()


def test_a_repository_in_the_place_of_a_submodule_is_refused_even_if_ignored(repo: Repo, tmp_path: Path) -> None:
    """Git looks into what its index calls a submodule, and runs what it finds there."""
    tree = git.tree_from(
        repo, git.tree_with(repo, None, {".gitignore": b"vendor/\n"}), [f"160000 {'1' * 40}\tvendor/lib"]
    )
    made, marker = workspace.at(tmp_path / "w", "ann", "t", FOLDER), tmp_path / "ran"
    workspace.prepare(made, repo, tree, "")
    plant(made.src / "vendor" / "lib", marker)
    marker.unlink(missing_ok=True)
    with pytest.raises(ToolError, match="vendor/lib is a Git repository"):
        workspace.collect(made, repo)
    assert not marker.exists()


def test_a_repository_in_an_ignored_folder_does_no_harm(space: Workspace, repo: Repo, tmp_path: Path) -> None:
    (space.src / ".gitignore").write_text("/deps/\n")
    plant(space.src / "deps" / "lib", tmp_path / "ran")
    (tmp_path / "ran").unlink(missing_ok=True)
    assert not any(path.startswith("deps") for path in collected(space, repo))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "name", [".GIT", ".Git", "git~1", "GIT~1", ".git ", ".git.", ".g\u200cit", ".git::$INDEX", ".git\\x"]
)
def test_other_names_of_a_git_dir_are_refused(space: Workspace, repo: Repo, name: str) -> None:
    (space.src / "lib" / name).mkdir()
    (space.src / "lib" / name / "config").write_text("[core]\n")
    with pytest.raises(ToolError, match="Git repository"):
        workspace.collect(space, repo)


@pytest.mark.parametrize("name", ["проект.git", "x.git", ".github", ".gitkeep", "git", "..git"])
def test_names_that_only_look_like_a_git_dir_are_fine(name: str) -> None:
    assert not is_git_dir(name)


# Links


def test_links_are_collected_as_links_and_never_followed(space: Workspace, repo: Repo, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("TOPSECRET")
    aims: dict[str, str | Path] = {
        "file": secret / "key",
        "folder": secret,
        "dangling": "/no/where",
        "chain": "file",
        "loop": "loop",
        "fd": "/proc/self/fd/0",
        "root": "/",
    }
    for name, aim in aims.items():
        (space.src / name).symlink_to(aim)
    shutil.rmtree(space.src / "lib")
    (space.src / "lib").symlink_to(secret)
    (space.root / "output" / "stolen").symlink_to(secret)
    found = collected(space, repo)
    assert {name: found[name] for name in aims} == {name: os.fsencode(aim) for name, aim in aims.items()}
    assert found["lib"] == os.fsencode(secret)
    assert not any(b"TOPSECRET" in data for data in found.values())


@pytest.mark.parametrize("linked", ["tasks", FOLDER])
def test_a_link_in_place_of_the_record_folder_leads_nowhere_when_laid_out_again(
    space: Workspace, repo: Repo, tmp_path: Path, linked: str
) -> None:
    """The snapshot of an interrupted run is laid out again: `output` of another folder must not be moved in."""
    victim = tmp_path / "victim"
    (victim / "t" / "output").mkdir(parents=True)
    (victim / "t" / "output" / "key").write_text("TOPSECRET")
    workspace.remove(space.root / "output")
    (space.root / "output").mkdir()
    workspace.remove(space.root / "research")
    (space.root / "research").mkdir()
    workspace.remove(space.src / linked)
    (space.src / linked).symlink_to(victim if linked == "tasks" else victim / "t")
    snapshot = workspace.collect(space, repo)
    workspace.prepare(space, repo, snapshot, "")
    assert (victim / "t" / "output" / "key").read_text() == "TOPSECRET"
    assert list((space.root / "output").iterdir()) == []
    assert workspace.collect(space, repo) == snapshot


def test_a_link_in_place_of_an_ignore_file_is_not_read(space: Workspace, repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "patterns").write_text("a.py\nnew\n")
    (space.src / ".gitignore").symlink_to(tmp_path / "patterns")
    (space.src / "new").write_text("1")
    assert "new" in collected(space, repo)


# Names, kinds, sizes, modes


def test_odd_names_are_collected(space: Workspace, repo: Repo) -> None:
    names = [
        b"-rf",
        b"--help",
        b"line\nbreak",
        b"\xff\xfe",
        b"tab\t",
        b" ",
        b"*",
        b":(top)x",
        b"'\"$(id)",
        b"\\",
        b"\x01",
    ]
    for name in names:
        (space.src / os.fsdecode(name)).write_bytes(name)
        (space.root / "output" / os.fsdecode(name)).write_bytes(name)
    found = collected(space, repo)
    assert {found[os.fsdecode(name)] for name in names} == set(names)
    assert {found[f"{FOLDER}/output/{os.fsdecode(name)}"] for name in names} == set(names)


@pytest.mark.parametrize("name", ["pipe", ".gitignore", ".gitattributes", "lib/.gitignore", "../output/pipe"])
def test_a_fifo_is_refused_and_nobody_waits_for_it(space: Workspace, repo: Repo, name: str) -> None:
    (space.src / ".gitignore").write_text("pipe\n")
    (space.src / name).unlink(missing_ok=True)
    os.mkfifo(space.src / name)
    with pytest.raises(ToolError, match="neither a file nor a folder nor a link"):
        workspace.collect(space, repo)


def test_a_socket_is_refused(space: Workspace, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(space.src)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        with pytest.raises(ToolError, match="s is neither"):
            workspace.collect(space, repo)


def test_a_large_file_is_refused_before_it_is_read_unless_ignored(space: Workspace, repo: Repo) -> None:
    with (space.src / "core").open("wb") as file:
        file.truncate(100 << 30)  # sparse: it takes no room
    with pytest.raises(ToolError, match="core has 102400 MiB"):
        workspace.collect(space, repo)
    (space.src / ".gitignore").write_text("core\n")
    assert "core" not in collected(space, repo)


def test_files_that_are_too_large_together_are_refused_unless_ignored(space: Workspace, repo: Repo) -> None:
    (space.src / "target").mkdir()
    for number in range(TOTAL_CAP // FILE_CAP + 1):
        with (space.src / "target" / str(number)).open("wb") as file:
            file.truncate(FILE_CAP)
    with pytest.raises(ToolError, match="the files have 550 MiB together"):
        workspace.collect(space, repo)
    (space.src / ".gitignore").write_text("/target\n")
    assert not any(path.startswith("target") for path in collected(space, repo))


def test_a_huge_ignore_file_is_refused_before_git_reads_it(space: Workspace, repo: Repo) -> None:
    with (space.src / ".gitignore").open("wb") as file:
        file.write(b".gitignore\n")
        file.truncate(FILE_CAP + 1)
    with pytest.raises(ToolError, match=r"\.gitignore has"):
        workspace.collect(space, repo)


def test_thousands_of_files_are_counted(tmp_path: Path) -> None:
    for number in range(3000):
        (tmp_path / f"d{number % 7}").mkdir(exist_ok=True)
        (tmp_path / f"d{number % 7}" / str(number)).write_text("x")
    assert survey(str(tmp_path)) == (3000, 3000, ())
    assert COUNT_CAP > 3000


def test_folders_three_thousand_deep_are_refused_and_removed(space: Workspace, repo: Repo, sandbox: Bubblewrap) -> None:
    deep = 'import os\nfor _ in range(3000):\n    os.mkdir("d")\n    os.chdir("d")\nopen("f", "w").close()'
    assert agent(sandbox, space, f"python3 -c '{deep}'").ok
    try:
        with pytest.raises(ToolError, match="cannot be read"):
            workspace.collect(space, repo)
    finally:
        workspace.discard(space)
    assert not space.root.exists() and not space.scratch.exists()


def test_what_is_locked_away_or_setuid_is_removed(space: Workspace, sandbox: Bubblewrap) -> None:
    line = "mkdir -p a/b && echo x > a/b/c && cp /usr/bin/true s && chmod 4755 s && chmod 000 a/b/c a/b a && ln -s / r"
    assert agent(sandbox, space, line).ok
    workspace.remove(space.src)
    assert not space.src.exists()
    assert Path("/usr").exists()


def test_a_setuid_program_is_out_of_reach_of_others_and_collected_as_a_plain_one(
    space: Workspace, repo: Repo, sandbox: Bubblewrap
) -> None:
    assert agent(sandbox, space, "cp /usr/bin/true s && chmod 4755 s").ok
    assert [file.mode for file in git.files(repo, workspace.collect(space, repo), "s")] == ["100755"]
    gate = space.shared.parent
    assert gate.stat().st_mode & 0o777 == 0o700
    assert gate in (space.src / "s").parents


def test_a_folder_is_removed_but_not_what_a_link_in_its_place_leads_to(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / "link").symlink_to(kept)
    workspace.remove(tmp_path / "link")
    workspace.remove(tmp_path / "not there")
    assert kept.is_dir() and not (tmp_path / "link").is_symlink()


# After a kill


@pytest.mark.parametrize("lock", ["index.lock", "index.output.lock", "index.research.lock"])
def test_a_lock_that_a_killed_collecting_left_is_no_obstacle(
    space: Workspace, repo: Repo, tree: str, lock: str
) -> None:
    workspace.collect(space, repo)
    (space.scratch / lock).write_bytes(b"")
    assert workspace.collect(space, repo) == tree
    (space.scratch / lock).write_bytes(b"")
    workspace.prepare(space, repo, tree, "")
    assert workspace.collect(space, repo) == tree


def test_an_index_that_is_damaged_is_made_anew_when_laid_out_again(space: Workspace, repo: Repo, tree: str) -> None:
    for name in ("index", "index.output"):
        (space.scratch / name).write_bytes(b"DIRC\x00")
    workspace.prepare(space, repo, tree, "")
    assert workspace.collect(space, repo) == tree


# Without mounts


def test_without_mounts_the_agents_git_lies_in_the_workspace_and_is_left_out(
    space: Workspace, repo: Repo, tree: str
) -> None:
    sandbox = External()
    workspace.ensure_git(space, sandbox)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=space.src, check=True, capture_output=True).stdout
    assert workspace.collect(space, repo) == tree
    workspace.ensure_git(space, sandbox)
    again = subprocess.run(["git", "rev-parse", "HEAD"], cwd=space.src, check=True, capture_output=True).stdout
    assert again == head, "it is not made twice"


# As an ordinary user


AS_NOBODY = """
import sys
from pathlib import Path
from runner import git, workspace
from runner.errors import ToolError
from runner.sandbox import Command
from runner.sandbox.bubblewrap import Bubblewrap
place, sandbox = Path(sys.argv[1]), Bubblewrap()
repo = git.init_bare(place / "repo.git")
tree = git.tree_with(repo, None, {"a": b"1", "tasks/t/output/o": b"2"})
space = workspace.at(place / "w", "ann", "t", "tasks/t")
workspace.prepare(space, repo, tree, "")
workspace.ensure_git(space, sandbox)
def agent(line):
    done = sandbox.run(Command(("bash", "-c", line), space.mounts()))
    assert done.ok, done.text
agent("echo 2 > a; echo 3 > ../output/o; echo kept > ~/mine")
assert {f.path for f in git.files(repo, workspace.collect(space, repo))} == {"a", "tasks/t/output/o"}
agent("mkdir -p d/e; echo x > d/e/f; chmod 000 d/e")
try:
    workspace.collect(space, repo)
except ToolError as error:
    print(error)
agent("chmod 755 d/e; chmod 000 d/e/f")
try:
    workspace.collect(space, repo)
except ToolError as error:
    print(error)
agent("chmod 000 d")
workspace.prepare(space, repo, tree, "")
assert workspace.collect(space, repo) == tree
agent("mkdir -p ~/x/y; chmod 000 ~/x/y ~/x ../output .")
workspace.discard(space)
assert not space.root.exists() and not space.scratch.exists()
print(sandbox.level)
"""


def test_an_ordinary_user_lays_out_collects_and_removes_what_commands_made(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    words = [sys.executable, "-c", AS_NOBODY, str(place)]
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("no setpriv to become an ordinary user with")
        for folder in (place, *place.parents[:-1]):
            if not folder.stat().st_mode & 0o001 and folder.owner() == "root":
                folder.chmod(folder.stat().st_mode | 0o011)
        os.chown(place, 65534, 65534)
        words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *words]
    env = {"PATH": os.environ["PATH"], "HOME": str(place), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(words, env=env, cwd="/", capture_output=True, text=True)
    if (
        "No permissions to create new namespace" in done.stderr
        or "Permission denied: '" in done.stderr.splitlines()[-1:]
    ):
        pytest.skip("an ordinary user cannot make namespaces, or cannot read this checkout")
    assert done.returncode == 0, done.stderr
    unlisted, unread, level = done.stdout.splitlines()
    assert unlisted == "d/e cannot be read (Permission denied): remove it, or make it readable"
    assert "d/e/f" in unread and "Permission denied" in unread
    assert "bubblewrap" in level
