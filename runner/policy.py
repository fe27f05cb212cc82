"""May this be merged, and does it touch what is protected? Pure."""

import unicodedata
from collections.abc import Collection, Iterable
from typing import Literal

import msgspec

from runner.agents import Policy
from runner.globs import matching
from runner.lifecycle import Stage
from runner.record import Gate


class Allow(msgspec.Struct, frozen=True):
    """Nothing stands against it."""


class Deny(msgspec.Struct, frozen=True):
    """Why not, in words.

    `kind` says what is next: `gates` must run again on what is there; `failed` gates need work; `base moved`: merge it
    in and run the gates; `protected` paths and new `tasks` need a person to look; `review` is a person's turn.
    """

    kind: Literal["gates", "failed", "base moved", "protected", "tasks", "review"]
    reason: str


INTO_BASE = frozenset({"stages", "base"})
"""Gates without which nothing goes into base, whichever stage is a task's last."""


def may_merge(
    *,
    stage: Stage,
    is_last: bool,
    policy: Policy,
    gates: tuple[Gate, ...],
    head_is_gated: bool,
    paths: Collection[str],
    adds_tasks: bool,
    base_is_inside: bool,
    by_person: bool = False,
) -> Allow | Deny:
    """Whether a stage's proposal may be merged into its target now: the rules of `Merge` in docs/design.md, section 3.

    `is_last`: the target is base, which needs base's head inside what the gates saw (`base_is_inside`), and the policy
    and the gates (`INTO_BASE`) of `complete` beside the stage's own. `head_is_gated`: the head differs from what the
    gates saw at most in the record. `paths` is the stage's change. `by_person`: a person approved it, which stands for
    the policy and for new tasks and for nothing else.
    """
    if not head_is_gated:
        return Deny("gates", "the branch has changed since the gates ran")
    return (
        _gates(gates, INTO_BASE if is_last else frozenset())
        or _target(is_last, base_is_inside)
        or _protected(paths, policy)
        or (None if by_person else _needs_human(paths, policy) or _review(stage, is_last, policy, adds_tasks))
        or Allow()
    )


def _gates(gates: tuple[Gate, ...], required: frozenset[str]) -> Deny | None:
    """No gate at all is not green."""
    missing = sorted(required - {gate.name for gate in gates})
    if missing or not gates:
        return Deny("gates", f"gates have not run: {', '.join(missing)}" if missing else "no gate has run")
    failed = [gate.name for gate in gates if not gate.passed]
    return Deny("failed", f"gate failed: {', '.join(failed)}") if failed else None


def _target(is_last: bool, base_is_inside: bool) -> Deny | None:
    if is_last and not base_is_inside:
        return Deny("base moved", "base has moved since the gates ran")
    return None


def _protected(paths: Iterable[str], policy: Policy) -> Deny | None:
    touched = touches(paths, policy.protected)
    return Deny("protected", f"touches protected paths: {', '.join(touched)}") if touched else None


def _needs_human(paths: Collection[str], policy: Policy) -> Deny | None:
    touched = touches(paths, policy.needs_human)
    return Deny("review", f"waits for review: it touches {', '.join(touched)}") if touched else None


def _review(stage: Stage, is_last: bool, policy: Policy, adds_tasks: bool) -> Deny | None:
    if adds_tasks:
        return Deny("tasks", "it adds tasks, which a person accepts")
    rules = {stage, Stage.COMPLETE} if is_last else {stage}
    if any(policy.review.of(rule) == "human" for rule in rules):
        return Deny("review", f"{stage} waits for review")
    return None


def touches(paths: Iterable[str], patterns: Iterable[str]) -> tuple[str, ...]:
    """Those of `paths` that one of `patterns` (as in `.gitignore`, see `globs`) protects, as they were given.

    They are compared in the form in which the least careful file system would keep them, so that no `Agents.YAML`,
    `./agents.yaml` or `.github\u200c/x` slips by and becomes the real file on someone's checkout. A path that climbs
    (`..`) touches everything.
    """
    forms = [_caseless(pattern) for pattern in patterns]
    return tuple(path for path in paths if _climbs(folded(path)) or matching([folded(path)], forms))


def folded(path: str) -> str:
    """The form of `path` by which two names are one file on macOS or Windows.

    Case and composition do not count there, nor characters without a shape (HFS+), trailing dots and spaces and what
    follows a colon (NTFS); a backslash separates. See `core.protectHFS` and `core.protectNTFS` in git-config(1).
    """
    visible = "".join(char for char in path if unicodedata.category(char) != "Cf")
    parts = (_plain(part) for part in _caseless(visible).replace("\\", "/").split("/"))
    return "/".join(part for part in parts if part)


def _caseless(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _plain(part: str) -> str:
    name = part.partition(":")[0].rstrip(" .")
    return ".." if not name and part.startswith("..") else name


def _climbs(path: str) -> bool:
    return ".." in path.split("/")
