"""A review's threads, resolved once they are answered: REST knows no threads, only their comments."""

from collections.abc import Collection

from runner.forge.github_client import Client

_OPEN = (
    "query($owner: String!, $name: String!, $number: Int!) { repository(owner: $owner, name: $name) "
    "{ pullRequest(number: $number) { reviewThreads(last: 100) "
    "{ nodes { id isResolved comments(first: 1) { nodes { databaseId } } } } } } }"
)
_RESOLVE = "mutation($thread: ID!) { resolveReviewThread(input: {threadId: $thread}) { thread { isResolved } } }"


def resolve(client: Client, number: int, answered: Collection[int]) -> None:
    """Resolve those threads of the pull request whose first comment is among `answered`, as far as the token may.

    It takes `contents: write` beside `pull_requests: write`; what is refused stays open, for a person to resolve.
    """
    place = client.place
    found = client.ask(_OPEN, owner=place.owner, name=place.name, number=number)
    for thread in found["repository"]["pullRequest"]["reviewThreads"]["nodes"]:
        first = thread["comments"]["nodes"][0]["databaseId"]
        if first in answered and not thread["isResolved"] and not client.change(_RESOLVE, thread=thread["id"]):
            return
