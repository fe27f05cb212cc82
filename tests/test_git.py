"""Git on the trusted side: byte for byte, without anyone's configuration, and for every file name."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from runner import git
from runner.git import Push, Repo
from runner.git.memory import ANSWERS
from runner.sight.pipes import Pipes

NAMES = [
    "-rf",
    "a b",
    "line\nbreak",
    "tab\there",
    "ünï",
    "*.py",
    ":(top)x",
    "[x]",
    "\\back",
    "'\"$(id)",
    "\udcff\udc80",
    "~",
]


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return git.init_bare(tmp_path / "repo.git")


def commit(repo: Repo, files: dict[str, bytes | None], *parents: str) -> str:
    tree = git.tree_of(repo, parents[0]) if parents else None
    return git.commit(repo, git.tree_with(repo, tree, files), parents, "a commit\n")


def user(folder: Path, *args: str) -> str:
    """Git as a person runs it, with a configuration of their own."""
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=P", "-c", "user.email=p@example.invalid")
    return subprocess.run(["git", *who, *args], cwd=folder, env=env, check=True, capture_output=True, text=True).stdout


# Names


@pytest.mark.parametrize("name", NAMES)
def test_every_file_name_survives_writing_reading_and_comparing(repo: Repo, name: str) -> None:
    first = commit(repo, {"other": b"1"})
    second = commit(repo, {name: b"2", f"folder/{name}": b"3"}, first)
    assert git.changed(repo, first, second) == {name: "A", f"folder/{name}": "A"}
    assert {file.path for file in git.files(repo, second)} == {"other", name, f"folder/{name}"}
    assert git.read(repo, second, name) == b"2"
    assert [file.path for file in git.files(repo, second, name)] == [name]


def test_a_path_is_never_a_pattern(repo: Repo) -> None:
    here = commit(repo, {"a.py": b"1", "b.py": b"2"})
    assert git.files(repo, here, "*.py") == ()
    assert git.log(repo, here, "%H") == [here]
    assert git.git(repo, "log", "--format=%H", here, "--", "*.py") == ""


@pytest.mark.parametrize("name", [".git/hooks/x", "a/.GIT/x", "git~1/x", ".g\u200cit/x", ".git /x", "../x"])
def test_names_that_some_file_system_takes_for_a_git_dir_enter_no_tree(repo: Repo, name: str) -> None:
    here = commit(repo, {name: b"x", "plain": b"x"})
    assert [file.path for file in git.files(repo, here)] == ["plain"]


# Byte for byte


CONVERSIONS = {
    "crlf.txt": ("text eol=crlf", b"one\r\ntwo\n"),
    "auto.txt": ("text=auto", b"one\r\ntwo\r\n"),
    "text.txt": ("text", b"one\r\ntwo\r\n"),
    "old.txt": ("crlf", b"one\r\n"),
    "ident.txt": ("ident", b"$Id$ $Id: abc$"),
    "utf16.txt": ("working-tree-encoding=UTF-16", "ä\n".encode()),
    "bad.txt": ("working-tree-encoding=UTF-16", b"\xff\xfe\xfd"),
    "nonsense.txt": ("working-tree-encoding", b"x"),
    "lfs.bin": ("filter=lfs", b"version https://git-lfs.github.com/spec/v1\n"),
}


def test_a_checkout_is_what_was_committed_whatever_attributes_say(repo: Repo, tmp_path: Path) -> None:
    attributes = "".join(f"{name} {words}\n" for name, (words, _) in CONVERSIONS.items())
    contents = {name: data for name, (_, data) in CONVERSIONS.items()}
    here = commit(repo, {".gitattributes": attributes.encode(), **contents})
    git.check_out(repo, here, tmp_path / "out")
    assert {name: (tmp_path / "out" / name).read_bytes() for name in contents} == contents


def test_without_our_attributes_a_checkout_differs_from_the_commit(repo: Repo, tmp_path: Path) -> None:
    here = commit(repo, {".gitattributes": b"* text eol=crlf\n", "a": b"one\n"})
    (repo.git_dir / "info" / "attributes").unlink()
    git.check_out(repo, here, tmp_path / "out")
    assert (tmp_path / "out" / "a").read_bytes() == b"one\r\n"  # so the test above can fail


def test_a_mirror_that_lost_its_rules_gets_them_again(repo: Repo) -> None:
    for name in ("exclude", "attributes"):
        (repo.git_dir / "info" / name).unlink()
    git.init_bare(repo.git_dir)
    assert (repo.git_dir / "info" / "attributes").read_text() == git.AS_COMMITTED
    assert (repo.git_dir / "info" / "exclude").read_text() == git.UNWANTED
    assert sorted(path.name for path in (repo.git_dir / "info").iterdir()) == ["attributes", "exclude"]


def test_modes_and_links_are_kept(repo: Repo, tmp_path: Path) -> None:
    blob = git.git(repo, "hash-object", "-w", "--stdin", stdin=b"target")
    tree = git.tree_from(repo, None, [f"100755 {blob}\trun", f"120000 {blob}\tlink", f"100644 {blob}\tplain"])
    git.check_out(repo, tree, tmp_path / "out")
    assert (tmp_path / "out" / "run").stat().st_mode & 0o111
    assert not (tmp_path / "out" / "plain").stat().st_mode & 0o111
    assert (tmp_path / "out" / "link").readlink() == Path("target")
    assert git.read(repo, tree, "link") is None, "a link is no regular file"


# Comparing


def test_a_submodule_that_comes_moves_or_goes_is_a_change(repo: Repo) -> None:
    empty = git.tree_from(repo, None, [])
    one, two = (git.tree_from(repo, None, [f"160000 {digit * 40}\tsub"]) for digit in "12")
    assert git.changed(repo, empty, one) == {"sub": "A"}
    assert git.changed(repo, one, two) == {"sub": "M"}
    assert git.changed(repo, two, empty) == {"sub": "D"}


def test_a_mode_alone_is_a_change_and_a_rename_is_two(repo: Repo) -> None:
    blob = git.git(repo, "hash-object", "-w", "--stdin", stdin=b"x")
    plain, runs, moved = (
        git.tree_from(repo, None, [line]) for line in (f"100644 {blob}\ta", f"100755 {blob}\ta", f"100644 {blob}\tb")
    )
    assert git.changed(repo, plain, runs) == {"a": "M"}
    assert git.changed(repo, plain, moved) == {"a": "D", "b": "A"}


def test_a_file_takes_the_place_of_a_folder_and_the_other_way_round(repo: Repo) -> None:
    tree = git.tree_with(repo, None, {"a/b": b"1", "c": b"2"})
    swapped = git.tree_with(repo, tree, {"a": b"3", "c/d": b"4"})
    assert {file.path for file in git.files(repo, swapped)} == {"a", "c/d"}


def test_many_contents_are_read_at_once_and_what_is_missing_is_left_out(repo: Repo) -> None:
    data = [b"", b"\n", b"a\n\nb", bytes(range(256)) * 300]
    oids = [git.git(repo, "hash-object", "-w", "--stdin", stdin=one) for one in data]
    assert git.blobs(repo, [*oids, "1" * 40, oids[0]]) == dict(zip(oids, data, strict=True))


def test_a_merge_names_its_conflicts_and_touches_nothing(repo: Repo) -> None:
    root = commit(repo, {"a": b"1\n", "b": b"1\n"})
    ours, theirs = commit(repo, {"a": b"2\n"}, root), commit(repo, {"a": b"3\n", "b": b"3\n"}, root)
    assert git.merge(repo, ours, theirs).conflicts == ("a",)
    clean = git.merge(repo, ours, commit(repo, {"b": b"3\n"}, root))
    assert clean.conflicts == ()
    assert {path: git.read(repo, clean.tree, path) for path in "ab"} == {"a": b"2\n", "b": b"3\n"}


def test_a_message_can_hold_whatever_a_model_says(repo: Repo) -> None:
    tree = git.tree_from(repo, None, [])
    made = git.commit(repo, tree, [], "NUL \0, half a character \ud83d, --flag\n::add-mask::x\n")
    assert git.log(repo, made, "%B")[0].startswith("NUL , half a character ?, --flag\n::add-mask::x")


# A commit by one process


def both_ways(repo: Repo, tree: str | None, changes: dict[str, bytes | None], *parents: str, said: str = "x\n") -> str:
    """The id of the commit, which is the same by one process and by many."""
    who, when = git.Identity("Gemma (agent)", "gemma@agents.example.invalid"), "2026-01-02T03:04:05Z"
    over = tree or git.EMPTY_TREE
    plain = git.commit(repo, git.tree_with(repo, tree, changes), parents, said, author=who, when=when)
    assert git.commit_with(repo, changes, parents, said, tree=over, author=who, when=when) == plain
    return plain


@pytest.mark.parametrize("name", NAMES)
def test_a_commit_by_one_process_is_that_of_many_whatever_its_files_are_called(repo: Repo, name: str) -> None:
    first = both_ways(repo, None, {name: b"", f"folder/{name}": b"data 1\nx\n", "other": b"\0\xff"})
    both_ways(repo, git.tree_of(repo, first), {name: None, "other": None, "new": b"1"}, first)


def test_a_commit_by_one_process_has_the_tree_and_the_parents_that_it_is_given(repo: Repo) -> None:
    first, other = both_ways(repo, None, {"a/b": b"1", "c": b"2"}), both_ways(repo, None, {})
    tree = git.tree_of(repo, first)
    swapped = both_ways(repo, tree, {"a": b"3", "c/d": b"4", "gone": None}, other, first, other, said="done\n\ndone")
    assert git.log(repo, swapped, "%P", "-1") == [f"{other} {first}"]
    assert {file.path for file in git.files(repo, swapped)} == {"a", "c/d"}
    both_ways(repo, None, {"only": b"5"}, first)


def test_without_a_tree_a_commit_differs_from_its_first_parent_by_its_changes_alone(repo: Repo) -> None:
    first, other = commit(repo, {"a": b"1", "b": b"1"}), commit(repo, {"c": b"1"})
    made = git.commit_with(repo, {"a": b"2", "b": None, "d/e": b"3"}, [first, other], "x\n")
    assert git.changed(repo, first, made) == {"a": "M", "b": "D", "d/e": "A"}


def test_a_commit_by_one_process_moves_no_ref_and_leaves_nothing_but_objects(repo: Repo) -> None:
    before = {path for path in repo.git_dir.rglob("*") if "objects" not in path.parts}
    made = git.commit_with(repo, {"a": b"1"}, [], "x\n")
    assert git.resolve(repo, made) == made
    assert {path for path in repo.git_dir.rglob("*") if "objects" not in path.parts} == before
    assert not list((repo.git_dir / "objects" / "pack").iterdir())


# What is asked only once


def seen(repo: Repo, first: str, second: str) -> tuple[object, ...]:
    read = git.files(repo, second), git.read(repo, second, "a"), git.tree_of(repo, second)
    return *read, git.differences(repo, first, second), git.is_ancestor(repo, first, second)


def test_what_git_said_of_full_ids_is_not_asked_again(repo: Repo) -> None:
    first = commit(repo, {"a": b"1"})
    second = commit(repo, {"a": b"2"}, first)
    before = seen(repo, first, second)
    shutil.rmtree(repo.git_dir / "objects")
    assert seen(repo, first, second) == before


def test_what_a_name_stands_for_is_asked_each_time(repo: Repo) -> None:
    for content in (b"1", b"2"):
        git.git(repo, "update-ref", "refs/heads/x", commit(repo, {"a": content}))
        assert git.read(repo, "refs/heads/x", "a") == content
        assert git.log(repo, "x", "%H") == [git.resolve(repo, "refs/heads/x")]


def test_a_pipe_that_stays_open_tells_where_a_ref_is_now(repo: Repo) -> None:
    first, second = commit(repo, {"a": b"1"}), commit(repo, {"a": b"2"})
    with Pipes(repo) as pipes:
        assert pipes.object("refs/x/y") is None
        for now in (first, second, first):
            git.git(repo, "update-ref", "refs/x/y", now)
            found = pipes.object("refs/x/y")
            assert found and found[0] == now
            git.git(repo, "pack-refs", "--all")
        git.git(repo, "update-ref", "refs/x/y", second)
        git.git(repo, "pack-refs", "--all", "--prune")
        found = pipes.object("refs/x/y")
        assert found and found[0] == second
        git.git(repo, "update-ref", "-d", "refs/x/y")
        assert pipes.object("refs/x/y") is None


def test_what_was_not_there_is_asked_for_again(repo: Repo, tmp_path: Path) -> None:
    other = git.init_bare(tmp_path / "other.git")
    first = commit(other, {"a": b"1"})
    second = commit(other, {"a": b"2"}, first)
    git.git(other, "update-ref", "refs/heads/x", second)
    blob = git.files(other, second)[0].blob
    assert git.blobs(repo, [blob]) == {}
    assert not git.is_ancestor(repo, first, second)
    git.fetch(repo, str(other.git_dir), "+refs/heads/x:refs/heads/x")
    assert git.blobs(repo, [blob]) == {blob: b"2"}
    assert git.is_ancestor(repo, first, second)


def test_neither_a_long_answer_nor_a_long_question_is_kept_in_memory(repo: Repo) -> None:
    here = commit(repo, {f"{'long' * 40}/{number}": b"" for number in range(100)})
    names = [f"{'none' * 40}/{number}" for number in range(200)]
    assert len(git.files(repo, here)) == 100 and git.files(repo, here, *names) == ()
    shutil.rmtree(repo.git_dir / "objects")
    for asked in ((), names):
        with pytest.raises(git.GitError):
            git.files(repo, here, *asked)


def test_of_many_answers_the_oldest_are_forgotten(repo: Repo) -> None:
    here = commit(repo, {"first": b"1", "last": b"2"})
    names = ["first", *(f"none-{number}" for number in range(ANSWERS - 1)), "last"]
    for name in names:
        git.files(repo, here, name)
    shutil.rmtree(repo.git_dir / "objects")
    assert [file.path for file in git.files(repo, here, "last")] == ["last"]
    with pytest.raises(git.GitError):
        git.files(repo, here, "first")


# Nobody's configuration


def test_no_configuration_of_the_user_is_in_force(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A global clean filter, as git-lfs installs one, would run on whatever files an agent's attributes name."""
    marker = tmp_path / "ran"
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[filter "lfs"]\n\tclean = touch {marker}; cat\n\trequired = true\n')
    monkeypatch.setenv("HOME", str(home))
    for name in ("GIT_CONFIG_GLOBAL", "GIT_DIR", "GIT_INDEX_FILE", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    work = tmp_path / "work"
    work.mkdir()
    (work / ".gitattributes").write_text("* filter=lfs\n")
    (repo.git_dir / "info" / "attributes").unlink()  # the second guard must hold by itself
    git.git(repo._replace(index_file=tmp_path / "index", work_tree=work), "add", "--all", "--", ".")
    assert not marker.exists()

    subprocess.run(["git", "init", "-q", "."], cwd=work, check=True)
    subprocess.run(["git", "add", "-A"], cwd=work, check=True)
    assert marker.exists(), "the control: git as a person runs it does run the filter"


def test_variables_of_the_environment_do_not_reach_git(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.hooksPath")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "/evil")
    assert git.git(repo, "rev-parse", "--git-dir") == str(repo.git_dir)
    assert git.git(repo, "config", "core.hooksPath") == "/dev/null"


# The hub


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    folder = tmp_path / "hub.git"
    folder.mkdir()
    user(folder, "init", "-q", "--bare", "-b", "main")
    return folder


def test_of_two_pushes_that_create_a_branch_one_wins(repo: Repo, hub: Path, tmp_path: Path) -> None:
    other = git.init_bare(tmp_path / "other.git")
    mine, theirs = commit(repo, {"a": b"1"}), commit(other, {"a": b"2"})
    first = git.push(repo, str(hub), Push("refs/heads/x", mine, ""))
    second = git.push(other, str(hub), Push("refs/heads/x", theirs, ""))
    assert (first.flags, second.flags) == ({"refs/heads/x": "*"}, {"refs/heads/x": "!"})
    assert git.remote_refs(repo, str(hub)) == {"refs/heads/x": mine}


def test_refs_move_together_or_not_at_all(repo: Repo, hub: Path) -> None:
    first = commit(repo, {"a": b"1"})
    git.push(repo, str(hub), Push("refs/heads/x", first, ""))
    second = commit(repo, {"a": b"2"}, first)
    done = git.push(repo, str(hub), Push("refs/heads/x", second, "2" * 40), Push("refs/heads/y", second, ""))
    assert "*" not in done.flags.values()
    assert git.remote_refs(repo, str(hub)) == {"refs/heads/x": first}


def test_a_push_on_the_observed_head_and_a_deletion(repo: Repo, hub: Path) -> None:
    first = commit(repo, {"a": b"1"})
    second = commit(repo, {"a": b"2"}, first)
    git.push(repo, str(hub), Push("refs/heads/x", first, ""))
    assert git.push(repo, str(hub), Push("refs/heads/x", second, first)).flags == {"refs/heads/x": " "}
    assert git.push(repo, str(hub), Push("refs/heads/x", "", first)).flags == {"refs/heads/x": "!"}
    assert git.push(repo, str(hub), Push("refs/heads/x", "", second)).flags == {"refs/heads/x": "-"}


def test_the_hubs_own_hook_runs_and_its_words_are_told(repo: Repo, hub: Path) -> None:
    hook = hub / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho main is for people >&2\nexit 1\n")
    hook.chmod(0o755)
    done = git.push(repo, str(hub), Push("refs/heads/main", commit(repo, {"a": b"1"}), ""))
    assert done.flags == {"refs/heads/main": "!"}
    assert "main is for people" in done.said
