"""How GitHub shows what it holds: the fields that anybody may read. `description.filled` adds the rest."""

from typing import Any

from fake_github import pulls
from fake_github.state import World
from fake_github.values import Comment, Issue, Pull, Review, User


class Shapes:
    """JSON for one world; `url` is where it is served."""

    def __init__(self, world: World, url: str) -> None:
        self.world, self.url = world, url

    @property
    def repo_url(self) -> str:
        return f"{self.url}/repos/{self.world.owner}/{self.world.name}"

    @property
    def html_url(self) -> str:
        return f"{self.url.removesuffix('/api/v3')}/{self.world.owner}/{self.world.name}"

    def user(self, user: User | None) -> dict[str, Any] | None:
        if user is None:
            return None
        plain = {"login": user.login, "id": user.id, "type": user.type, "site_admin": False, "node_id": f"U_{user.id}"}
        return plain | {"avatar_url": "", "gravatar_id": "", "html_url": f"{self.url}/{user.login}", "url": self.url}

    def repository(self) -> dict[str, Any]:
        world = self.world
        return {
            "id": 77, "name": world.name, "full_name": f"{world.owner}/{world.name}", "private": world.private,
            "default_branch": "main", "owner": self.user(self.owner()), "html_url": self.html_url,
            "permissions": {"admin": False, "push": True, "pull": True},
            "clone_url": f"{self.html_url}.git", "allow_merge_commit": "merge" in world.methods,
            "allow_squash_merge": "squash" in world.methods, "allow_rebase_merge": "rebase" in world.methods,
        }  # fmt: skip

    def owner(self) -> User:
        return self.world.user(self.world.owner, "admin", id=5, type="Organization")

    def label(self, name: str) -> dict[str, Any]:
        return {
            "id": 9,
            "node_id": "L",
            "url": self.url,
            "name": name,
            "color": "ededed",
            "default": False,
            "description": "",
        }

    def issue(self, issue: Issue) -> dict[str, Any]:
        count = sum(comment.number == issue.number for comment in self.world.comments.values())
        shown = {
            "id": issue.id, "node_id": f"I_{issue.number}", "number": issue.number, "title": issue.title,
            "body": issue.body, "state": issue.state, "user": self.user(issue.user),
            "labels": [self.label(name) for name in issue.labels], "created_at": issue.created,
            "updated_at": issue.edited or issue.created, "closed_at": issue.closed, "comments": count, "locked": False,
            "assignee": None, "milestone": None, "closed_by": self.user(issue.closed_by),
            "author_association": "NONE", "state_reason": None,
            "url": f"{self.repo_url}/issues/{issue.number}", "html_url": f"{self.html_url}/issues/{issue.number}",
        }  # fmt: skip
        if issue.number in self.world.pulls:
            shown["pull_request"] = {
                "url": f"{self.repo_url}/pulls/{issue.number}",
                "diff_url": None,
                "html_url": None,
                "patch_url": None,
            }
        return shown

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        common = {
            "node_id": "E", "url": self.url, "commit_id": None, "commit_url": None, "performed_via_github_app": None
        }  # fmt: skip
        return event | common | {"actor": self.user(event["actor"])}

    def comment(self, comment: Comment) -> dict[str, Any]:
        return {
            "id": comment.id, "node_id": f"C_{comment.id}", "body": comment.body, "user": self.user(comment.user),
            "created_at": comment.created, "updated_at": comment.updated, "author_association": "NONE",
            "url": self.url, "issue_url": f"{self.repo_url}/issues/{comment.number}",
            "html_url": f"{self.html_url}/issues/{comment.number}#issuecomment-{comment.id}",
        }  # fmt: skip

    def line_comment(self, comment: Comment) -> dict[str, Any]:
        shown = {
            "id": comment.id, "node_id": f"C_{comment.id}", "body": comment.body, "user": self.user(comment.user),
            "created_at": comment.created, "updated_at": comment.updated, "author_association": "NONE",
            "path": comment.path, "line": comment.line, "side": "RIGHT", "diff_hunk": comment.hunk,
            "pull_request_review_id": comment.review, "commit_id": comment.commit, "original_commit_id": comment.commit,
            "html_url": f"{self.html_url}/pull/{comment.number}#discussion_r{comment.id}",
        }  # fmt: skip
        return shown | ({"in_reply_to_id": comment.reply_to} if comment.reply_to else {})

    def review(self, review: Review) -> dict[str, Any]:
        return {
            "id": review.id, "node_id": f"R_{review.id}", "user": self.user(review.user), "body": review.body,
            "state": review.state, "commit_id": review.commit, "submitted_at": review.submitted,
            "author_association": "NONE", "pull_request_url": f"{self.repo_url}/pulls/{review.number}",
            "html_url": f"{self.html_url}/pull/{review.number}#pullrequestreview-{review.id}",
        }  # fmt: skip

    def pull(self, pull: Pull, *, whole: bool) -> dict[str, Any]:
        world, issue = self.world, self.world.issues[pull.number]
        head, base = pulls.head_of(world, pull), world.tip(pull.base) or ""
        here = self.repository()
        there = here | {"id": 78, "full_name": "stranger/shop", "fork": True} if pull.fork else here
        whose, owner = here["owner"], "stranger" if pull.fork else world.owner
        shown = {
            "id": issue.id, "node_id": f"PR_{pull.number}", "number": pull.number, "title": issue.title,
            "body": issue.body, "state": issue.state, "user": self.user(issue.user), "locked": False, "draft": False,
            "created_at": issue.created, "updated_at": issue.created, "closed_at": issue.closed,
            "merged_at": pull.merged_at, "merge_commit_sha": pull.merge_commit,
            "labels": [self.label(name) for name in issue.labels],
            "requested_reviewers": [self.user(world.users[login]) for login in pull.reviewers], "requested_teams": [],
            "head": {"ref": pull.head, "sha": head, "label": f"{owner}:{pull.head}", "repo": there, "user": whose},
            "base": {"ref": pull.base, "sha": base, "label": f"{world.owner}:{pull.base}", "repo": here, "user": whose},
            "url": f"{self.repo_url}/pulls/{pull.number}", "html_url": f"{self.html_url}/pull/{pull.number}",
            "auto_merge": None, "author_association": "NONE",
        }  # fmt: skip
        if whole:
            known = pulls.mergeable(world, pull) if issue.state == "open" else None
            word = {None: "unknown", True: "clean", False: "dirty"}[known]
            shown |= {
                "merged": pull.merged,
                "merged_by": self.user(pull.merged_by),
                "mergeable": known,
                "mergeable_state": word,
            }
        return shown

    def payload(self, given: dict[str, Any]) -> dict[str, Any]:
        """A webhook's payload for an event of the world."""
        shown: dict[str, Any] = {"repository": self.repository(), "sender": self.user(given.get("sender"))}
        for key in ("issue", "comment", "review"):
            if key in given:
                shown[key] = getattr(self, key)(given[key])
        if "pull" in given:
            shown["pull_request"] = self.pull(given["pull"], whole=False) | {"merged": given["pull"].merged}
        return shown | {key: given[key] for key in ("label", "action") if key in given} | given.get("plain", {})
