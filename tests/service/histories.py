"""Histories of a repository that are cheap to make: by `git fast-import`, as runners and people would push them.

No agent runs. A world knows just enough of what it wrote to write what may come next.
"""

import random
import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import msgspec
import yaml

from runner import git
from runner.agents import Agent, Settings
from runner.commands import Command, ref_of, ref_of_agent
from runner.history import History, begin, heard, note, with_entry
from runner.host import Hub, Site, timestamp
from runner.lifecycle import STAGES, Stage, stage_branch, work_branch
from runner.parsing.yamldoc import dump
from runner.progress import Refs
from runner.record import Entry, Hold, Request, State
from runner.talk.messages import About, Created, Message, lines
from runner.task import TaskFile, digest

REPOSITORY = "7f0c8f5e-6f2b-4a43-9a0a-0c3f2b1d4e5f"
START = 1_767_225_600
REMEMBERED = 64
Files = dict[str, bytes | None]


class Importer:
    """One `git fast-import` that stays open on a bare repository."""

    def __init__(self, git_dir: Path) -> None:
        self.process = subprocess.Popen(
            ["git", "-c", "fastimport.unpackLimit=0", "fast-import", "--quiet", "--force", "--done"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=git.environment(git.Repo(git_dir)),
        )  # fmt: skip
        self.mark = 0
        self.marks: dict[str, str] = {}  # what is not flushed yet is known by its mark alone

    def commit(self, files: Files, parents: list[str], message: str, at: int, whole: bool = False) -> str:
        """Write a commit and return its id. `files` change what the first parent has, or are `whole`."""
        assert self.process.stdin and self.process.stdout
        self.mark += 1
        said = message.encode()
        lines = [
            b"commit refs/import/%d\nmark :%d\n" % (self.mark, self.mark),
            b"committer Pat <pat@example.invalid> %d +0000\ndata %d\n%s\n" % (at, len(said), said),
        ]
        names = [self.marks[oid].encode() for oid in parents]
        lines += [b"%s %s\n" % (b"merge" if number else b"from", name) for number, name in enumerate(names)]
        lines += [b"deleteall\n"] if whole else []
        for path, data in files.items():
            if data is None:
                lines.append(b'D "%s"\n' % path.encode())
            else:
                lines.append(b'M 100644 inline "%s"\ndata %d\n%s\n' % (path.encode(), len(data), data))
        lines.append(b"\nget-mark :%d\n" % self.mark)
        self.process.stdin.write(b"".join(lines))
        self.process.stdin.flush()
        oid = self.process.stdout.readline().decode().strip()
        assert oid, "git fast-import ended"
        self.marks[oid] = f":{self.mark}"
        return oid

    def flush(self) -> None:
        """Make what was written visible to others."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(b"checkpoint\nprogress flushed\n")
        self.process.stdin.flush()
        while self.process.stdout.readline() != b"progress flushed\n":
            pass

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(b"done\n")
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class World:
    """A hub with tasks in all kinds of places, and verbs that move it on. `chance` decides what is left open."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.chance = random.Random(seed)
        self.hub = git.init_bare(folder / "hub.git")
        self.importer = Importer(self.hub.git_dir)
        self.at = START
        self.files: dict[str, dict[str, bytes]] = {}  # branch → what it holds
        self.heads: dict[str, str] = {}
        self.ours: dict[str, str] = {}
        self.said: dict[str, list[Command]] = {}
        self.talks: dict[str, list[Message]] = {}
        self.count = 0
        self._trees: dict[str, dict[str, bytes]] = {}  # of the newest commits, so that the next says what it changes
        self.agents = ["gemma", "sonnet"]
        self.heads["main"] = self._commit("main", {"agents.yaml": self.settings()}, [])

    def site(self, state: Path) -> Site:
        """A host beside it, whose mirror has the hub's objects for its own."""
        repo = git.init_bare(state / "repo.git")
        (repo.git_dir / "objects" / "info").mkdir(exist_ok=True)
        (repo.git_dir / "objects" / "info" / "alternates").write_text(f"{self.hub.git_dir / 'objects'}\n")
        return Site("host/1", state, repo, Hub(str(self.hub.git_dir), None), self.hub.git_dir)

    def refs(self) -> Refs:
        """What the hub's refs are now."""
        self.importer.flush()
        return Refs(self.heads["main"], "main", dict(self.heads), dict(self.ours))

    def publish(self) -> None:
        """Move the hub's real refs to where this world has them."""
        self.importer.flush()
        lines = [f"update refs/heads/{name} {oid}\n" for name, oid in self.heads.items()]
        lines += [f"update refs/pullwright/{name} {oid}\n" for name, oid in self.ours.items()]
        there = {**git.refs(self.hub, "refs/heads"), **git.refs(self.hub, "refs/pullwright")}
        known = {f"refs/heads/{name}" for name in self.heads} | {f"refs/pullwright/{name}" for name in self.ours}
        lines += [f"delete {name}\n" for name in there if name not in known]
        git.git(self.hub, "update-ref", "--stdin", stdin="".join(lines).encode())
        git.git(self.hub, "symbolic-ref", "HEAD", "refs/heads/main")

    def close(self) -> None:
        """End the process that writes."""
        self.importer.close()

    # --- what people and runners do

    def _commit(self, branch: str, files: Files, parents: list[str], message: str = "A commit") -> str:
        self.at += 7
        before = self.files.setdefault(branch, {})
        for path, data in files.items():
            if data is None:
                before.pop(path, None)
            else:
                before[path] = data
        known = self._trees.get(parents[0]) if parents else None
        oid = self.importer.commit(_changes(known, before), parents, message, self.at, whole=known is None)
        self.heads[branch] = oid
        self._trees[oid] = dict(before)
        if len(self._trees) > REMEMBERED:
            del self._trees[next(iter(self._trees))]
        return oid

    def on_main(self, files: Files) -> None:
        """A person's commit on main."""
        self._commit("main", files, [self.heads["main"]])

    def settings(self) -> bytes:
        """An agents.yaml."""
        agents = tuple(
            Agent(name=name, model=f"{name}:1", concurrency=self.chance.randint(1, 2)) for name in self.agents
        )
        return dump(Settings(version=1, repository=REPOSITORY, agents=agents))

    def new_agents(self, names: list[str]) -> None:
        """Another agents.yaml."""
        self.agents = names
        self.on_main({"agents.yaml": self.settings()})

    def break_agents(self) -> None:
        """An agents.yaml that nobody can read."""
        self.on_main({"agents.yaml": b"version: [\n"})

    def tasks(self) -> dict[str, str]:
        """Id → path of every task file on main."""
        paths = [path for path in self.files["main"] if path.startswith("tasks/") and path.endswith(".yaml")]
        return {p.rpartition("/")[2].removesuffix(".yaml"): p for p in paths if not p.endswith("/record.yaml")}

    def add(self, slug: str, **keys: Any) -> None:
        """A task file."""
        request = TaskFile(title=f"Do {slug}", description=f"What {slug} wants", **keys)
        folder = self.chance.choice(["tasks", "tasks/area"])
        self.on_main({f"{folder}/{slug}.yaml": dump(request)})

    def edit(self, slug: str, text: bytes) -> None:
        """Other words in a task file."""
        self.on_main({self.tasks()[slug]: text})

    def remove(self, slug: str) -> None:
        """The task file goes; its record stays."""
        self.on_main({self.tasks()[slug]: None})

    def move(self, slug: str) -> None:
        """The task file and its record go to another folder."""
        here = self.tasks()[slug]
        folder, other = here.removesuffix(".yaml"), f"tasks/moved/{slug}"
        own = [path for path in self.files["main"] if path == here or path.startswith(f"{folder}/")]
        held = self.files["main"]
        files: Files = {other + path.removeprefix(folder): held[path] for path in own}
        self.on_main({**dict.fromkeys(own), **files} if folder != other else {})

    def revert(self, slug: str) -> None:
        """Base loses the record."""
        self.on_main({path: None for path in self.files["main"] if f"/{slug}/" in path})

    def command(self, slug: str, verb: str, **args: Any) -> None:
        """A person says something to a task."""
        self._say(ref_of(slug), Command(self._uuid(), self._now(), "Pat", verb, args))  # type: ignore[arg-type]

    def send(self, agent: str, status: str) -> None:
        """A person sends an agent away, or calls it back."""
        self._say(ref_of_agent(agent), Command(self._uuid(), self._now(), "Pat", "set-status", {"status": status}))

    def talk(self, id: str, text: str, answers: str | None = None) -> str:
        """Something is said in a discussion, with a file; or what is there is an answer. Returns the message's id."""
        name, role = f"discussions/{id}", "agent" if answers else "person"
        said = Message(self._uuid(), self._now(), role, "Pat", text, answers=answers)  # type: ignore[arg-type]
        talk = self.talks.setdefault(name, [])
        talk.append(said)
        about = About(id, f"About {id}", Created(said.at, "Pat"), None if len(id) > 35 else id)
        files: Files = {"discussion.json": msgspec.json.encode(about), "messages.jsonl": lines(talk)}
        files[f"files/note-{len(talk) % 3}.txt"] = text.encode()
        parents = [self.ours[name]] if name in self.ours else []
        self.ours[name] = self.importer.commit(files, parents, text, self.at)
        return said.id

    def hush(self, id: str) -> None:
        """A discussion is rewritten to nothing, or goes."""
        name = f"discussions/{id}"
        if self.chance.random() < 0.5:
            self.ours.pop(name, None)
        elif name in self.ours:
            self.ours[name] = self.importer.commit({"discussion.json": b"[]"}, [], "gone", self.at, whole=True)
        self.talks.pop(name, None)

    def _say(self, ref: str, command: Command) -> None:
        name = ref.removeprefix("refs/pullwright/")
        self.at += 3
        parents = [self.ours[name]] if name in self.ours else []
        text = msgspec.json.encode(command).decode()
        self.ours[name] = self.importer.commit({}, parents, text, self.at, whole=True)
        self.said.setdefault(name, []).append(command)

    def _uuid(self) -> str:
        self.count += 1
        return str(uuid5(UUID(REPOSITORY), str(self.count)))

    def _now(self) -> str:
        from datetime import UTC, datetime

        return timestamp(datetime.fromtimestamp(self.at, UTC))

    # --- a stage, as a runner would write it

    def history(self, branch: str, slug: str) -> tuple[str, History] | None:
        """The record folder and the history of a task on a branch."""
        from runner.record import parse_record, parse_updates

        found = [path for path in self.files.get(branch, {}) if path.endswith(f"/{slug}/record.yaml")]
        if not found:
            return None
        folder = found[0].removesuffix("/record.yaml")
        held = self.files[branch]
        said = parse_updates(held.get(f"{folder}/updates.jsonl", b""))
        return folder, History(parse_record(held[found[0]]), said)

    def claim(self, slug: str, stage: Stage, attempt: int, agent: str, base: str = "main") -> None:
        """A claim: the task branch if it is not there, and a stage branch on it with base merged in."""
        work, branch = work_branch(slug), stage_branch(slug, stage, attempt)
        if branch in self.heads:
            return
        if work not in self.heads:
            self.heads[work], self.files[work] = self.heads[base], dict(self.files[base])
        paths = [p for p in self.files[base] if p.startswith("tasks/") and p.endswith(f"/{slug}.yaml")]
        if not paths:
            return
        request: TaskFile = msgspec.convert(yaml.safe_load(self.files[base][paths[0]]), TaskFile, strict=False)
        kept = self.history(work, slug) or self.history(base, slug)
        folder = kept[0] if kept else paths[0].removesuffix(".yaml")
        frozen = Request(
            request.title, request.description, digest(request), "Pat", paths[0], request.complexity or 3, "default",
            request.stages, depends_on=request.depends_on,
        )  # fmt: skip
        history = kept[1] if kept else begin(frozen)
        entry = Entry("working", attempt, agent, "m", self._uuid(), "host/1", self.heads[base], self._now())
        history = heard(with_entry(history, stage, entry), self.said.get(f"commands/tasks/{slug}", ()))
        history = note(history, stage, "status_change", f"{stage} begins", self._now())
        self.files[branch] = {**self.files[work], **self.files[base]}
        self._commit(branch, dict(history.files(folder)), [self.heads[work], self.heads[base]])
        self.ours[f"trajectories/{slug}/{stage}.{attempt}"] = self.heads[branch]

    def step(self, branch: str, slug: str, stage: Stage, state: State, words: str) -> None:
        """A later commit of a stage branch: its entry in another state, one more update."""
        kept = self.history(branch, slug)
        if kept is None or stage not in kept[1].record.stages:
            return
        folder, history = kept
        entry = history.entry(stage)
        hold = Hold(words, self._now(), self.chance.choice(["failure", "input", "budget"])) if state == "held" else None
        changed = msgspec.structs.replace(
            entry, state=state, hold=hold, progress=self.chance.randint(0, 100), steps=entry.steps + 1,
            finished=self._now() if state == "ready" else None,
        )  # fmt: skip
        history = with_entry(history, stage, changed)
        kind: Any = self.chance.choice(["progress_update", "note"])
        history = note(history, stage, kind, words, self._now(), by_agent=self.chance.random() < 0.7)
        files = dict(history.files(folder))
        if stage is Stage.BUILD:
            files["src.txt"] = words.encode()
        self._commit(branch, files, [self.heads[branch]])

    def propose_subtask(self, branch: str, slug: str, child: str) -> None:
        """A design adds a task file of its own."""
        request = TaskFile(title=f"Part {child}", parent=slug, stages=(Stage.BUILD, Stage.TEST))
        self._commit(branch, {f"tasks/{child}.yaml": dump(request)}, [self.heads[branch]])

    def merge(self, branch: str, target: str, how: str = "merge") -> None:
        """A proposal goes into its target: by a merge commit, squashed, or by moving the target forward."""
        self.files[target] = {**self.files.get(target, {}), **self.files[branch]}
        if how == "forward":
            self.heads[target] = self.heads[branch]
            return
        parents = [self.heads[target]] + ([self.heads[branch]] if how == "merge" else [])
        self._commit(target, {}, parents, f"Merge {branch}")

    def delete(self, branch: str) -> None:
        """A branch goes."""
        self.heads.pop(branch, None)
        self.files.pop(branch, None)

    def open_branches(self) -> list[str]:
        """The stage branches."""
        return [branch for branch in self.heads if branch.startswith("agents/")]


def _changes(known: dict[str, bytes] | None, now: dict[str, bytes]) -> Files:
    if known is None:
        return dict(now)
    changed: Files = {path: data for path, data in now.items() if known.get(path) is not data}
    return changed | {path: None for path in known if path not in now}


STAGE_NAMES = [str(stage) for stage in STAGES]
