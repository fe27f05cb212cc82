"""Git over HTTP: `git http-backend` behind the fake's accounts and rules."""

import os
import subprocess
from pathlib import Path

from fake_github.loopback import Reply

BACKEND = (
    Path(subprocess.run(["git", "--exec-path"], capture_output=True, text=True).stdout.strip()) / "git-http-backend"
)

# What GitHub refuses in a push, word for word (references: GH006, GH013, the workflows permission).
HOOK = """#!/bin/sh
while read -r old new ref; do
    if [ "$FAKE_PROTECTED" = "$ref" ]; then
        echo "error: GH006: Protected branch update failed for $ref." >&2
        echo "error: Changes must be made through a pull request." >&2
        exit 1
    fi
    if [ -n "$FAKE_NO_CREATION" ] && expr "$old" : '0*$' >/dev/null; then
        echo "error: GH013: Repository rule violations found for $ref." >&2
        echo "- Cannot create ref due to creations being restricted." >&2
        exit 1
    fi
    expr "$new" : '0*$' >/dev/null && continue
    [ -z "$FAKE_WORKFLOWS" ] && for commit in $(git rev-list "$new" --not --all); do
        file=$(git diff-tree --root -r --name-only --no-commit-id "$commit" -- .github/workflows | head -1)
        [ -z "$file" ] && continue
        what="refusing to allow a GitHub App to create or update workflow"
        echo "$what \\`$file\\` without \\`workflows\\` permission" >&2
        exit 1
    done
done
exit 0
"""


def install_hook(git_dir: Path) -> None:
    """Put the rules in force."""
    hook = git_dir / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK)
    hook.chmod(0o755)


def serve(
    root: Path, method: str, path: str, query: str, headers: dict[str, str], body: bytes, rules: dict[str, str]
) -> bytes:
    """One CGI answer, headers and all."""
    env = {
        "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
        "QUERY_STRING": query, "REQUEST_METHOD": method, "CONTENT_TYPE": headers.get("content-type", ""),
        "REMOTE_USER": "someone", "REMOTE_ADDR": "127.0.0.1", "GIT_CONFIG_NOSYSTEM": "1", "HOME": "/nonexistent",
        "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""), "CONTENT_LENGTH": str(len(body)),
        "GIT_PROTOCOL": headers.get("git-protocol", ""), "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
    }  # fmt: skip
    return subprocess.run([BACKEND], env=env | rules, input=body, capture_output=True).stdout


def from_cgi(answer: bytes) -> Reply:
    """A CGI answer as what goes back."""
    head, _, body = answer.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
    return Reply(int(headers.pop("Status", "200").split()[0]), headers, body)
