"""What the index costs beside a floor, in the same run: `python bench/index.py [tasks]`.

*rebuild*: from nothing to rows with full-text index; its floor reads the same blobs by one `git cat-file --batch`,
parses them with libyaml's CSafeLoader and inserts titles and descriptions by `executemany`. *unchanged*: a refresh
that finds nothing new. *one commit*: from a commit that has landed in the mirror to its row; its floor asks long-lived
`git diff-tree --stdin` and `git cat-file --batch` for the same and parses the file.
"""

import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

import yaml

from runner import git
from runner.host import Hub, Site
from runner.progress import Refs
from runner.sight.pipes import Pipes
from webhook.index import Index

SETTINGS = b"""version: 1
repository: 7f0c8f5e-6f2b-4a43-9a0a-0c3f2b1d4e5f
agents:
  - {name: gemma, model: "gemma3:4b"}
"""
TASK = """title: Task number {0} of many
description: |
  What is wanted of number {0}, in a sentence or two,
  so that there is something to read.
complexity: {1}
priority: 5
acceptance: ["GET /{0} answers 200"]
"""


def main(number: int) -> None:
    """Print the best of five rounds: others work on the machine too, and nobody's work makes ours quicker."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repo = git.init_bare(folder / "repo.git")
        base = first(repo, number)
        site = Site("bench", folder, repo, Hub(str(repo.git_dir), None), folder)
        whole, least, same, ours, pipes = [], [], [], [], []
        for round in range(5):
            least.append(cost(lambda: floor(repo, base)))
            index = Index(folder / f"index-{round}.sqlite", site)
            whole.append(cost(lambda index=index: index.refresh(refs(base))))
            index.close()
            index = Index(folder / f"index-{round}.sqlite", site)
            same.append(took(lambda index=index: index.refresh(refs(base))))
            head, watch = base, Pipes(repo)
            for step in range(20):
                new = another(repo, head, step)
                pipes.append(took(lambda head=head, new=new, watch=watch: seen(watch, head, new)))
                ours.append(took(lambda new=new, index=index: index.refresh(refs(new))))
                head = new
            index.close()
            watch.close()
    print(f"| {number} tasks | ms | × floor |\n| --- | --- | --- |")
    print(f"| rebuild, CPU | {1000 * min(whole):.0f} | {min(whole) / min(least):.2f} |")
    print(f"| unchanged, in a new process | {1000 * min(same):.1f} | |")
    print(f"| one commit | {1000 * min(ours):.2f} | {min(ours) / min(pipes):.2f} |")


def cost(act: Callable[[], object]) -> float:
    """Seconds of CPU, of this process and of the Git processes that it waits for."""
    before = spent()
    act()
    return spent() - before


def spent() -> float:
    """Seconds of CPU so far."""
    used = [getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def took(act: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def refs(base: str) -> Refs:
    """A hub with nothing but base."""
    return Refs(base, "main", {"main": base}, {})


def first(repo: git.Repo, number: int) -> str:
    """The first commit, by `git fast-import`."""
    parts = [b"commit refs/heads/main\ncommitter B <b@example.invalid> 1767225600 +0000\ndata 1\nx\n"]
    files = {"agents.yaml": SETTINGS}
    files |= {f"tasks/{at % 100:02}/task-{at}.yaml": TASK.format(at, at % 10 + 1).encode() for at in range(number)}
    parts += [b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data) for path, data in files.items()]
    subprocess.run(
        ["git", "fast-import", "--quiet"], input=b"".join(parts), env=git.environment(repo), cwd="/", check=True
    )
    found = git.resolve(repo, "refs/heads/main")
    assert found
    return found


def another(repo: git.Repo, head: str, step: int) -> str:
    """One more commit with one more task."""
    tree = git.tree_with(repo, git.tree_of(repo, head), {f"tasks/00/new-{step}.yaml": TASK.format(step, 3).encode()})
    return git.commit(repo, tree, [head], "Task\n")


def floor(repo: git.Repo, base: str) -> None:
    """The least that does the same work."""
    paths = {file.blob: file.path for file in git.files(repo, base, "tasks")}
    read = [yaml.load(data, Loader=yaml.CSafeLoader) for data in git.blobs(repo, paths).values()]
    conn = sqlite3.connect(":memory:")
    conn.execute("CREATE TABLE tasks (id INTEGER PRIMARY KEY, title TEXT, description TEXT, complexity INT)")
    conn.execute("CREATE VIRTUAL TABLE words USING fts5(title, description, content=tasks)")
    rows = [(task["title"], task["description"], task["complexity"]) for task in read]
    conn.executemany("INSERT INTO tasks (title, description, complexity) VALUES (?, ?, ?)", rows)
    conn.execute("INSERT INTO words (words) VALUES ('rebuild')")
    conn.close()


def seen(pipes: Pipes, old: str, new: str) -> None:
    """One commit, by processes that are there already."""
    for change in pipes.difference(pipes.tree(old), pipes.tree(new)):
        if change.blob:
            yaml.load(pipes.blob(change.blob), Loader=yaml.CSafeLoader)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
