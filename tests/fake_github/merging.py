"""Merging, by each method and by the branch's rules; and the words that close issues."""

import re
import tempfile

from fake_github import issues, pulls, pushes
from fake_github.state import World
from fake_github.values import Issue, Pull, Refusal, User

CLOSES = re.compile(r"\b(?:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+(?:[\w.-]+/[\w.-]+)?#(\d+)", re.IGNORECASE)


def merge(
    world: World, user: User, number: int, method: str, sha: str | None, title: str | None, message: str | None
) -> str:
    pull, issue = pulls.find(world, number), world.issues[number]
    if not user.may("write"):
        raise Refusal(403, "Resource not accessible by integration")
    if pull.merged or issue.state == "closed":
        raise Refusal(405, "Pull Request is not mergeable")
    head, onto = pulls.head_of(world, pull), world.tip(pull.base)
    assert onto is not None
    if sha is not None and sha != head:
        raise Refusal(409, "Head branch was modified. Review and try the merge again.")
    if method not in world.methods:
        raise Refusal(405, f"{method.capitalize()} merges are not allowed on this repository.")
    _rules(world, pull, head)
    if not world.asks("merge-tree", "--write-tree", onto, head):
        raise Refusal(405, "Pull Request is not mergeable")
    before = world.refs()
    made, messages = _merged(world, pull, issue, method, onto, head, title, message)
    world.git("update-ref", f"refs/heads/{pull.base}", made, onto)
    pull.merged, pull.merged_by, pull.merge_commit = True, user, made
    issue.state, issue.closed, pull.merged_at = "closed", world.now(), world.now()
    _close_by_words(world, pull, "\n".join([issue.body or "", messages]))
    if world.delete_merged and not pull.fork:
        world.git("update-ref", "-d", f"refs/heads/{pull.head}")
    world.fire("pull_request", action="closed", pull=pull, sender=user)
    pushes.after_push(world, user, before)
    return made


def _rules(world: World, pull: Pull, head: str) -> None:
    if pull.base != "main":
        return
    green = {each["context"] for each in world.latest(head) if each["state"] == "success"}
    green |= {each["name"] for each in world.checks.get(head, []) if each.get("conclusion") == "success"}
    for name in sorted(world.required - green):
        raise Refusal(405, f'Required status check "{name}" is expected.')
    approved = {
        r.user.login
        for r in world.reviews.values()
        if r.number == pull.number and r.state == "APPROVED" and r.commit == head
    }
    if len(approved) < world.approvals:
        raise Refusal(405, f"At least {world.approvals} approving review is required by reviewers with write access.")


def _merged(
    world: World, pull: Pull, issue: Issue, method: str, onto: str, head: str, title: str | None, message: str | None
) -> tuple[str, str]:
    commits = world.git("log", "--reverse", "--format=%B%x00", f"{onto}..{head}").replace("\0", "")
    if method == "rebase":
        return _rebased(world, onto, head), commits
    tree = world.git("merge-tree", "--write-tree", onto, head).splitlines()[0]
    if method == "squash":
        text = f"{title or f'{issue.title} (#{pull.number})'}\n\n{message if message is not None else commits}"
        return _commit(world, tree, [onto], text), text
    text = f"{title or f'Merge pull request #{pull.number} from {world.owner}/{pull.head}'}\n\n{message or issue.title}"
    return _commit(world, tree, [onto, head], text), text + commits


def _commit(world: World, tree: str, parents: list[str], message: str) -> str:
    above = [word for parent in parents for word in ("-p", parent)]
    names = ("-c", "user.name=GitHub", "-c", "user.email=noreply@github.invalid")
    return world.git(*names, "commit-tree", tree, *above, stdin=message)


def _rebased(world: World, onto: str, head: str) -> str:
    """As GitHub does it: every commit but merges, one after another, with new ids; the result must be the same."""
    commits = world.git("rev-list", "--reverse", "--no-merges", "--topo-order", f"{onto}..{head}").split()
    names = ("-c", "user.name=GitHub", "-c", "user.email=noreply@github.invalid")
    with tempfile.TemporaryDirectory() as scratch:
        world.git("worktree", "add", "-q", "--detach", f"{scratch}/tree", onto)
        try:
            pick = ("cherry-pick", "--keep-redundant-commits", "--allow-empty")
            world.git("-C", f"{scratch}/tree", *names, *pick, *commits)
        except RuntimeError as error:
            raise Refusal(405, "This branch can't be rebased") from error
        finally:
            now = world.git("-C", f"{scratch}/tree", "rev-parse", "HEAD")
            world.git("worktree", "remove", "--force", f"{scratch}/tree")
    wanted = world.git("merge-tree", "--write-tree", onto, head).splitlines()[0]
    if world.git("rev-parse", f"{now}^{{tree}}") != wanted:
        raise Refusal(405, "This branch can't be rebased")
    return now


def _close_by_words(world: World, pull: Pull, text: str) -> None:
    if pull.base != "main":
        return
    for number in CLOSES.findall(text):
        if int(number) in world.issues and int(number) not in world.pulls:
            issues.set_state(world, pull.merged_by, int(number), "closed")
