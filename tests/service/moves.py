"""What may happen next in a world, by name; a move that makes no sense now does nothing."""

from collections.abc import Callable

from runner.lifecycle import STAGES, Stage, parse_stage_branch, stage_branch, work_branch
from runner.parsing.yamldoc import dump
from runner.task import TaskFile
from service.histories import World

SLUGS = ("ape", "bat", "cat", "cat-one", "cat-two", "dog")


def play(world: World, move: str) -> None:
    """Do it."""
    MOVES[move](world)


def _some_task(world: World) -> str | None:
    known = sorted(world.tasks())
    return world.chance.choice(known) if known else None


def _add(world: World) -> None:
    slug = world.chance.choice(SLUGS[:3] + SLUGS[5:])
    if slug in world.tasks():
        return
    others = [other for other in SLUGS[:3] if other != slug]
    depends = (world.chance.choice(others),) if world.chance.random() < 0.4 else ()
    stages = world.chance.choice([STAGES, (Stage.BUILD,), (Stage.DESIGN, Stage.BUILD)])
    world.add(slug, depends_on=depends, stages=stages, priority=world.chance.randint(1, 9))


def _edit(world: World) -> None:
    slug = _some_task(world)
    if slug:
        title = world.chance.choice(["Other words", f"Do {slug}"])
        world.edit(slug, dump(TaskFile(title=title, priority=world.chance.randint(1, 9))))


def _break(world: World) -> None:
    if slug := _some_task(world):
        world.edit(slug, world.chance.choice([b"title: [", b"titel: x\n", b""]))


def _remove(world: World) -> None:
    if slug := _some_task(world):
        world.remove(slug)


def _move(world: World) -> None:
    if slug := _some_task(world):
        world.move(slug)


def _double(world: World) -> None:
    if slug := _some_task(world):
        world.on_main({f"tasks/again/{slug}.yaml": b"title: The same id\n"})


def _swallow(world: World) -> None:
    """A task file that makes a record of the folder beside it."""
    world.on_main({"tasks/area.yaml": None if "tasks/area.yaml" in world.files["main"] else b"title: An area\n"})


def _base_of(world: World, slug: str) -> str:
    parent = slug.partition("-")[0]
    work = work_branch(parent)
    inside = any(path.endswith(f"/{slug}.yaml") for path in world.files["main"])
    return work if not inside and work in world.heads and slug != parent else "main"


def _any_slug(world: World) -> str:
    """One of the few that things often happen to, or in a large world any."""
    known = sorted(world.tasks()) if len(world.files["main"]) > 100 and world.chance.random() < 0.5 else SLUGS
    return world.chance.choice(known)


def _claim(world: World) -> None:
    slug = _any_slug(world)
    stages = [parse_stage_branch(branch) for branch in world.open_branches()]
    own = [ref for ref in stages if ref and ref.task == slug]
    base = _base_of(world, slug)
    kept = world.history(work_branch(slug), slug) or world.history(base, slug)
    done = kept[1].record.stages if kept else {}
    order = kept[1].record.request.stages if kept else STAGES
    following = next((s for s in order if s not in done or done[s].state not in ("ready", "done")), None)
    if following is None or (not kept and not any(p.endswith(f"/{slug}.yaml") for p in world.files[base])):
        return
    attempt = max((ref.attempt for ref in own if ref.stage is following), default=0) + 1
    try:
        world.claim(slug, following, attempt, world.chance.choice([*world.agents, "stranger"]), base)
    except Exception as error:  # a task file that was broken has nothing to claim
        assert (
            "Object" in str(error) or "Expected" in str(error) or "YAML" in str(type(error)) or "pars" in str(error)
        ), error


def _stage(world: World) -> None:
    branches = world.open_branches()
    if branches:
        branch = world.chance.choice(sorted(branches))
        ref = parse_stage_branch(branch)
        assert ref is not None
        state = world.chance.choice(["working", "held", "ready", "ready", "ready", "closed"])
        world.step(branch, ref.task, ref.stage, state, world.chance.choice(["one", "two", "needs input: which?"]))


def _merge(world: World) -> None:
    for branch in sorted(world.open_branches()):
        ref = parse_stage_branch(branch)
        kept = world.history(branch, ref.task) if ref else None
        if ref is None or kept is None or ref.stage not in kept[1].record.stages:  # planted
            continue
        if kept[1].entry(ref.stage).state != "ready":
            continue
        last = ref.stage == kept[1].record.request.stages[-1]
        target = _base_of(world, ref.task) if last else work_branch(ref.task)
        if target in world.heads:
            world.merge(branch, target, world.chance.choice(["merge", "squash", "forward"]))
            if world.chance.random() < 0.5:
                world.delete(branch)
                if last:
                    world.delete(work_branch(ref.task))
            return


def _revert(world: World) -> None:
    if slug := _some_task(world):
        world.revert(slug)


def _say(world: World) -> None:
    slug = world.chance.choice([_any_slug(world), "issue-7"])
    verb = world.chance.choice(["pause", "resume", "cancel", "retry", "comment", "assign", "set-status", "reject"])
    branches = [ref for branch in world.open_branches() if (ref := parse_stage_branch(branch)) and ref.task == slug]
    about = {"stage": str(branches[0].stage), "attempt": branches[0].attempt} if branches else {}
    more = {
        "assign": {"agent": world.chance.choice(["gemma", "nobody"])},
        "set-status": {"status": world.chance.choice(["build", "design"]), "above": {"design": 1, "build": 1}},
    }
    world.command(slug, verb, **more.get(verb, {"text": "words"} | about))


def _accept(world: World) -> None:
    world.command(
        "issue-7", "accept", request={"title": "An issue", "description": "From a person"}, by="Pat",
        source="https://example.invalid/7", text="0" * 64, act=world.chance.choice(["1", "2"]),
    )  # fmt: skip


def _withdraw(world: World) -> None:
    world.command("issue-7", "withdraw", why="it was edited")


def _agents(world: World) -> None:
    world.new_agents(world.chance.choice([["gemma"], ["sonnet", "gemma"], ["gemma", "opus"]]))


def _away(world: World) -> None:
    world.send(world.chance.choice(["gemma", "sonnet", "nobody"]), world.chance.choice(["offline", "available"]))


def _subtask(world: World) -> None:
    for branch in world.open_branches():
        ref = parse_stage_branch(branch)
        if ref and ref.task == "cat" and ref.stage is Stage.DESIGN:
            world.propose_subtask(branch, "cat", world.chance.choice(["cat-one", "cat-two"]))
            return


def _drop(world: World) -> None:
    branches = sorted(branch for branch in world.heads if branch != "main")
    if branches:
        world.delete(world.chance.choice(branches))


def _plant(world: World) -> None:
    """Branches with our names that are no claims."""
    slug = world.chance.choice(SLUGS)
    branch = stage_branch(slug, world.chance.choice(STAGES), world.chance.randint(1, 3))
    if branch not in world.heads:
        world.heads[branch], world.files[branch] = world.heads["main"], dict(world.files["main"])


def _rewrite(world: World) -> None:
    """Somebody pushes another history onto main by force."""
    files = {path: data for path, data in world.files["main"].items() if world.chance.random() < 0.8}
    files["agents.yaml"] = world.settings()
    world.files["main"] = {}
    world._commit("main", dict(files), [])


def _journey(world: World) -> None:
    """A task goes a whole stage on."""
    for move in ("add", "claim", "stage", "merge"):
        MOVES[move](world)


def _talk(world: World) -> None:
    """A question, perhaps its answer; now and then a discussion that somebody's hand has damaged."""
    id = world.chance.choice([*SLUGS[:2], "0f0e7f2e-6f2b-4a43-9a0a-0c3f2b1d4e5f"])
    if world.chance.random() < 0.2:
        world.hush(id)
        return
    asked = world.talk(id, world.chance.choice(["Why?", "<b>Übergröße</b>", "x" * 3000]))
    if world.chance.random() < 0.6:
        world.talk(id, "Because.", answers=asked)


MOVES: dict[str, Callable[[World], None]] = {
    "add": _add,
    "edit": _edit,
    "break": _break,
    "remove": _remove,
    "move": _move,
    "double": _double,
    "swallow": _swallow,
    "claim": _claim,
    "stage": _stage,
    "merge": _merge,
    "revert": _revert,
    "say": _say,
    "talk": _talk,
    "talk again": _talk,
    "accept": _accept,
    "withdraw": _withdraw,
    "agents": _agents,
    "away": _away,
    "subtask": _subtask,
    "drop": _drop,
    "plant": _plant,
    "rewrite": _rewrite,
    "journey": _journey,
    "journey again": _journey,
    "bad agents": World.break_agents,
}
