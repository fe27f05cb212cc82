"""Files of a workspace that is on another host: as the task's branch has them that has come furthest."""

import sqlite3

from runner import git
from runner.lifecycle import Stage, stage_branch, work_branch
from runner.observe import HEADS
from runner.parsing.characters import whole


def branch_of(conn: sqlite3.Connection, task_id: str) -> str:
    """The branch of the task's open stage, else its task branch."""
    query = "SELECT slug, stages.stage, attempt FROM tasks LEFT JOIN stages ON task_id = id AND open WHERE id = ?"
    slug, stage, attempt = conn.execute(query, (task_id,)).fetchone()
    return stage_branch(slug, Stage(stage), attempt) if stage else work_branch(slug)


def files(repo: git.Repo, branch: str) -> dict[str, str]:
    """Path → blob of the regular files on a branch; nothing where it is no more."""
    head = git.resolve(repo, f"{HEADS}{branch}")
    found = git.files(repo, head) if head else ()
    return {whole(file.path): file.blob for file in found if file.mode.startswith("100")}
