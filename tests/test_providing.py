"""What every task of an agent is given: tools and references of base, and the operator's."""

from pathlib import Path

import pytest
import repositories as r
from scenes import Scene

from runner import git
from runner.errors import UserError
from runner.workspace import providing

TOOL = "#!/bin/sh\necho counted $1\n"


@pytest.fixture
def repo(tmp_path: Path) -> git.Repo:
    return git.init_bare(tmp_path / "repo.git")


def tree(repo: git.Repo, **files: str) -> str:
    return git.tree_with(repo, None, {path.replace("__", "/"): text.encode() for path, text in files.items()})


def held(shared: Path) -> dict[str, str]:
    """The files that commands see."""
    return {str(path.relative_to(shared)): path.read_text() for path in sorted(shared.rglob("*"))
            if path.is_file() and path.name != providing.LIST}  # fmt: skip


def test_the_folders_follow_the_repository_and_leave_the_operators_files(repo: git.Repo, tmp_path: Path) -> None:
    shared = tmp_path / "global"
    first = {
        ".pullwright__tools__a": "one\n",
        ".pullwright__tools__b__c": "two\n",
        ".pullwright__references__r.md": "see\n",
    }
    providing.provide(shared, repo, tree(repo, **first, unrelated="x"))
    (shared / "tools/own").write_text("the operator's\n")
    assert held(shared) == {
        "references/r.md": "see\n",
        "tools/a": "one\n",
        "tools/b/c": "two\n",
        "tools/own": "the operator's\n",
    }
    providing.provide(shared, repo, tree(repo, **{".pullwright__tools__b": "a file now\n"}))
    assert held(shared) == {"tools/b": "a file now\n", "tools/own": "the operator's\n"}
    (shared / "tools/b").write_text("not looked at again while nothing changes\n")
    providing.provide(shared, repo, tree(repo, **{".pullwright__tools__b": "a file now\n"}))
    assert held(shared)["tools/b"].startswith("not looked at")
    providing.provide(shared, repo, tree(repo, other="x"))
    assert held(shared) == {"tools/own": "the operator's\n"}


def test_a_link_is_left_out_and_what_is_in_the_way_is_said(tmp_path: Path, person: Path) -> None:
    folder, shared = r.project(tmp_path / "p", agents=r.settings()), tmp_path / "global"
    (folder / ".pullwright/tools").mkdir()
    (folder / ".pullwright/tools/link").symlink_to("/etc/passwd")
    (folder / ".pullwright/tools/run").write_text(TOOL)
    (folder / ".pullwright/tools/run").chmod(0o755)
    r.git(folder, "add", ".pullwright")
    r.git(folder, "commit", "-q", "-m", "Tools")
    repo = git.Repo(folder / ".git")
    providing.provide(shared, repo, "HEAD")
    assert list(held(shared)) == ["tools/run"] and (shared / "tools/run").stat().st_mode & 0o111
    r.commit(folder, "More", {".pullwright/tools/own": "x"})
    (shared / "tools/own").mkdir()
    with pytest.raises(UserError, match="own is in the way"):
        providing.provide(shared, repo, "HEAD")


def test_an_agent_runs_the_repositorys_tools_and_cannot_change_them(tmp_path: Path, person: Path) -> None:
    told = r.story()
    line = "count 3 > seen; cat /workspace/global/references/style.md >> seen; echo x >> /workspace/global/tools/count"
    told["build"].insert(0, ("bash", {"command": f"({line}) 2>> seen; cat seen; rm seen"}))
    scene = Scene(r.project(tmp_path / "repo", agents=r.settings(review=r.AUTO), replies=told))
    r.commit(scene.folder, "Tools", {".pullwright/tools/count": TOOL, ".pullwright/references/style.md": "Be short.\n"})
    r.git(scene.folder, "update-index", "--chmod=+x", ".pullwright/tools/count")
    r.git(scene.folder, "commit", "-q", "-m", "It is a program")
    r.git(scene.folder, "checkout", "-q", "--", ".pullwright")
    r.add_task(scene.folder, stages=["build", "complete"])
    scene.run()
    assert scene.state().current is None, "\n".join(scene.said)
    said = r.git(scene.folder, "show", "refs/pullwright/trajectories/greet/build.1:trajectory.jsonl")
    assert "counted 3" in said and "Be short." in said and "Read-only file system" in said
