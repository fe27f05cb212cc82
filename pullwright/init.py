"""`pullwright init`: make a repository ready. It asks nothing that it can find out, and overwrites nothing."""

import json
import re
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from pullwright import checkout, github
from pullwright.guessing import guess
from runner import git, schemas
from runner.agents import parse_settings
from runner.errors import UserError
from runner.host import require_trust

ATTRIBUTES = (
    "tasks/**/record.yaml linguist-generated=true -diff",
    "tasks/**/updates.jsonl linguist-generated=true -diff",
)

TASKS_README = """# Tasks

One YAML file a task; `title` is the only key that must be there. Make one with `pullwright task new TITLE`.
A folder beside a task's file is its record, written by the runner.
"""

AGENTS = """\
# yaml-language-server: $schema=.pullwright/schemas/agents.json
version: 1
repository: {repository}   # made once; the ids of everything derive from it
base: {base}
forge: {forge}
{setup}{checks}{tests}agents:
  - name: {name}
    model: {model}
    endpoint: {endpoint}
    provider: ollama
    min_complexity: 1
    max_complexity: 10
policy:
  # human: a person merges (pullwright review ID --approve); auto: the runner merges when every gate is green
  review: {{design: human, build: auto, test: auto, review: auto, complete: human}}
  protected: [".github/**", "agents.yaml", ".pullwright/**", "CODEOWNERS"]
{talk}"""

BY_WORKFLOW = """\
  # The workflow lets nobody answer in an issue's thread: a comment there is a word to the agent at work. Say true where
  # `pullwright serve` runs as well: then the thread is a talk, in which agents answer
  talk: false
"""


def initialise(folder: Path, model: str, endpoint: str, *, commit: bool, forge: str = "local") -> Iterator[str]:
    """Make `folder` a Pullwright repository; yields what was done, line by line. Raises `UserError`.

    All that can be refused is refused before the first file is written; a second run takes up what a first one left.
    """
    git.require_git()
    top = _top(folder)
    if top is None:
        folder.mkdir(parents=True, exist_ok=True)
        checkout.must(folder, "init", "--quiet", "--initial-branch=main")
        top = folder.resolve()
        yield f"made a Git repository in {top}"
    files = _files(top, model, endpoint, forge)
    parse_settings(files["agents.yaml"].encode())
    if commit:
        checkout.require_identity(top)
    new = [path for path, text in files.items() if _write(top / path, text)]
    new += [".gitattributes"] if _attributes(top) else []
    yield from (f"{'wrote' if path in new else 'kept'} {path}" for path in (*files, ".gitattributes"))
    new = list(dict.fromkeys(new + _new_to_git(top, [*files, ".gitattributes"])))
    if commit and new:
        checkout.commit(top, "Make the repository ready for Pullwright", *new)
        yield f"committed {'it' if len(new) == 1 else 'them'}"
    yield from _advice(top, committed=commit or not new)


def _top(folder: Path) -> Path | None:
    """The work tree around `folder`, or None where there is no repository.

    Raises `UserError` in a bare one, and in one that Git does not trust.
    """
    if not folder.is_dir():
        return None
    found = checkout.ask(folder, "rev-parse", "--git-dir")
    if found.returncode != 0:
        require_trust(found.stderr)
        return None
    if checkout.must(folder, "rev-parse", "--is-bare-repository") == "true":
        raise UserError(
            f"{folder.resolve()} is a bare repository: there is nowhere to write files", "run it in a clone of it"
        )
    return Path(checkout.must(folder, "rev-parse", "--path-format=absolute", "--show-toplevel"))


def _write(target: Path, text: str) -> bool:
    """Write a file that is not there; returns whether it was written."""
    if target.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return True


def _new_to_git(top: Path, paths: Iterable[str]) -> list[str]:
    """Those of our files that an earlier run wrote and could not commit. A person's edits are theirs to commit."""
    listed = checkout.must(top, "status", "--porcelain", "-z", "--untracked-files=all", "--", *paths).split("\0")
    return [line[3:] for line in listed if line.startswith(("??", "A"))]


def _advice(top: Path, *, committed: bool) -> Iterator[str]:
    settings = parse_settings((top / "agents.yaml").read_bytes())
    if settings.checks:
        works = ", ".join(agent.model for agent in settings.agents)
        yield f"look at agents.yaml: {works} works, and its work must pass: {', '.join(settings.checks)}"
    else:
        yield "no tests were found: name the command that runs yours under `checks` in agents.yaml"
    has_origin = checkout.ask(top, "remote", "get-url", "origin").returncode == 0
    share = ([] if committed else ["commit these files"]) + ([f"git push origin {settings.base}"] if has_origin else [])
    yield "next: " + ", then ".join([*share, 'pullwright task new "…"', "pullwright run"])


def _files(top: Path, model: str, endpoint: str, forge: str) -> dict[str, str]:
    """Path → text of everything that a Pullwright repository has; on GitHub the issue form and the workflow too."""
    own = {f".pullwright/schemas/{name}": text for name, text in schemas.files().items()}
    there = github.files() if forge == "github" else {}
    return {"agents.yaml": _settings(top, model, endpoint, forge), "tasks/README.md": TASKS_README, **own, **there}


def _settings(top: Path, model: str, endpoint: str, forge: str) -> str:
    """agents.yaml with what can be found out: the base branch, the setup, the checks, where tests are."""
    found = guess(top)
    name = re.sub(r"[^a-z0-9]+", "-", model.rpartition("/")[2].partition(":")[0].lower()).strip("-")
    return AGENTS.format(
        repository=uuid.uuid4(),
        base=_scalar(_base(top)),
        forge=forge,
        setup=_line("setup", found.setup, "prepares a fresh checkout for the checks, in the sandbox"),
        checks=_line("checks", found.checks, "what must pass"),
        tests=_line("tests", found.tests, "which files are tests"),
        name=name or "agent",
        model=_scalar(model),
        endpoint=_scalar(endpoint),
        talk=BY_WORKFLOW if forge == "github" else "",
    )


def _line(key: str, values: tuple[str, ...], meaning: str) -> str:
    return f"{key}: {json.dumps(values)}   # {meaning}\n"


def _scalar(text: str) -> str:
    """Text as YAML: plain where that is safe, else in JSON's quotes, which YAML reads as well."""
    return text if re.fullmatch(r"[A-Za-z][\w./-]*(:[\w./-]+)*", text, re.ASCII) else json.dumps(text)


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _base(top: Path) -> str:
    """The branch that tasks come from: the remote's head if it is known, else the one that is checked out."""
    remote = checkout.ask(top, "symbolic-ref", "--short", "refs/remotes/origin/HEAD").stdout.strip()
    found = remote.removeprefix("origin/") or checkout.branch(top)
    if not found:
        raise UserError("no branch is checked out (detached HEAD)", "check out the base branch: git switch main")
    return found


def _attributes(top: Path) -> bool:
    """Mark the runner's files as generated, so that reviewers see the work; returns whether that was to be done."""
    path = top / ".gitattributes"
    present = _text(path)
    missing = [line for line in ATTRIBUTES if line not in present.splitlines()]
    joint = "" if not present or present.endswith("\n") else "\n"
    if missing:
        path.write_text(present + joint + "\n".join(missing) + "\n")
    return bool(missing)
