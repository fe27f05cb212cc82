"""What GitHub notices when refs have moved, whether by a push or by a merge."""

from typing import Any

from fake_github import issues, pulls
from fake_github.state import World
from fake_github.values import User


def after_push(world: World, user: User | None, before: dict[str, str]) -> None:
    """What GitHub notices when refs have moved: a head that is in its base is merged, one that is gone closes."""
    _tell_refs(world, user, before)
    for pull in pulls.open_pulls(world):
        tip = None if pull.fork else world.tip(pull.head)
        if tip is None and not pull.fork:
            issues.set_state(world, user, pull.number, "closed")
        elif tip is not None and world.asks("merge-base", "--is-ancestor", tip, pull.base):
            pull.last_head, pull.merged, pull.merged_by = tip, True, user
            pull.merged_at, world.issues[pull.number].state = world.now(), "closed"


def _tell_refs(world: World, user: User | None, before: dict[str, str]) -> None:
    """Webhooks hear of branches alone, never of our own refs."""
    now, heads = world.refs(), {pull.head: pull for pull in pulls.open_pulls(world) if not pull.fork}
    for ref in sorted({*before, *now}):
        old, new = before.get(ref, "0" * 40), now.get(ref, "0" * 40)
        if old == new:
            continue
        name, given = ref.removeprefix("refs/heads/"), {"ref": ref, "before": old, "after": new, "commits": []}
        if ref not in before or ref not in now:
            kind = {"ref": name, "ref_type": "branch"}
            world.fire("create" if ref not in before else "delete", sender=user, plain=kind)
        elif world.asks("merge-base", "--is-ancestor", old, new):
            given["commits"] = _commits(world, old, new)
        world.fire("push", sender=user, plain=given | {"created": ref not in before, "deleted": ref not in now})
        if ref in now and name in heads:
            world.fire("pull_request", action="synchronize", pull=heads[name], sender=user)


def _commits(world: World, old: str, new: str) -> list[dict[str, Any]]:
    """What each commit touched, as a push tells it."""
    out = world.git("log", "--reverse", "-m", "--first-parent", "--name-status", "--format=%x01%H", f"{old}..{new}")
    found = []
    for block in out.split("\x01")[1:]:
        oid, *lines = [line for line in block.splitlines() if line]
        names = {"A": "added", "M": "modified", "D": "removed"}
        touched: dict[str, list[str]] = {"added": [], "modified": [], "removed": []}
        for line in lines:
            touched[names.get(line[0], "modified")].append(line.split("\t")[-1])
        found.append({"id": oid} | touched)
    return found
