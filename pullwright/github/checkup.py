"""What a token can do on GitHub, looked at: for `pullwright doctor`."""

from collections.abc import Iterator
from urllib.parse import quote

from pullwright.finding import Finding
from runner.credentials import from_environment
from runner.forge.github_client import Client
from runner.host import Site

WHO = {
    "app": "as a GitHub App; a new token for this repository alone is made when one is five minutes old",
    "token": "with a personal token: whoever it belongs to cannot ask for changes on these pull requests, only comment",
    "job": "with a job's own token: 1,000 requests an hour, and what it pushes starts no other workflow",
}
EXAMPLE = "agents/pullwright-doctor/design"


def findings(site: Site) -> Iterator[Finding]:
    """Who we are there, what we may do, and what the repository's rules would refuse. Raises `UserError`."""
    found = from_environment(site.hub.url)
    if found is None:
        return  # said by the wiring, with its remedy
    client = Client(found)
    repository = client.get(found.place.path)
    if repository is None:
        remedy = "give the token this repository, or install the App on it (docs/github.md, Permissions)"
        yield Finding(
            "github", "problem", f"{found.place.owner}/{found.place.name} is not there for this token", remedy
        )
        return
    yield Finding(
        "github", "notice" if found.kind == "job" else "fine", f"{repository['full_name']}, {WHO[found.kind]}"
    )
    if repository.get("permissions") and not repository["permissions"].get("push"):
        remedy = "give the token contents: write (docs/github.md, Permissions)"
        yield Finding("github", "problem", "the token may read and not push", remedy)
    yield from _merging(repository)
    yield from _rules(client)


def _merging(repository: dict[str, object]) -> Iterator[Finding]:
    if not repository.get("allow_merge_commit", True) and not repository.get("allow_squash_merge", True):
        what = (
            "only rebase merges are allowed: once the base branch has moved, GitHub cannot rebase a stage's branch, "
            "and its pull request can be merged by nobody"
        )
        yield Finding("github", "notice", what, "allow merge commits or squash in the repository's settings, now")


def _rules(client: Client) -> Iterator[Finding]:
    """Rules that would refuse a claim; GitHub tells them for branches that are not there yet."""
    rules = client.get(f"{client.place.path}/rules/branches/{quote(EXAMPLE, safe='')}") or []
    if any(rule["type"] == "creation" for rule in rules):
        what = "a ruleset restricts who may create agents/**"
        yield Finding(
            "github", "notice", what, "put the runner's account on its bypass list, or every claim is refused"
        )
    if any(rule["type"] == "required_signatures" for rule in rules):
        yield Finding(
            "github", "problem", "a ruleset wants signed commits on agents/**", "leave agents/** and work/** out of it"
        )
