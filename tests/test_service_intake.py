"""Webhooks over real HTTP: what is taken, what is refused, and that nothing is believed or worked twice."""

import hmac
import json
import lzma
import socket
import sqlite3
import uuid
from collections.abc import Iterator
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from repositories import add_task, at_home, bare_hub, git, project, settings
from service.running import OTHER, SECRET, Service, serving, until

from webhook import events
from webhook.events import Notice

EXAMPLES: dict[str, Any] = json.loads(
    lzma.decompress((Path(__file__).parent / "service/octokit-webhooks.json.xz").read_bytes())
)
PING = b'{"zen":"x","hook":{"events":["push"]}}'


def signature(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()


def headers(body: bytes, event: str = "ping", **more: str) -> dict[str, str]:
    found = {
        "content-type": "application/json",
        "x-github-event": event,
        "x-github-delivery": str(uuid.uuid4()),
        "x-hub-signature-256": signature(body),
    }
    return {name: value for name, value in (found | more).items() if value}


def post(service: Service, body: bytes, **more: Any) -> httpx.Response:
    return service.stranger.post("/webhook", content=body, headers=headers(body, **more))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    top = tmp_path_factory.mktemp("intake")
    with pytest.MonkeyPatch.context() as patch:
        at_home(top, patch)
        clone = project(top / "clone", agents=settings())
        add_task(clone)
        bare_hub(clone, top / "hub.git")
        with serving(clone, poll=3600, debounce=0.01) as running:
            yield running


def rows(service: Service, query: str, *given: str) -> list[Any]:
    with sqlite3.connect(service.front.options.index) as conn:
        return conn.execute(query, given).fetchall()


def test_every_payload_that_github_is_known_to_send_is_taken(service: Service) -> None:
    answers = [
        post(service, json.dumps(payload).encode(), event=name).status_code
        for name, payloads in EXAMPLES["examples"].items()
        for payload in payloads
    ]
    assert len(answers) == 329
    assert set(answers) == {202}
    assert service.faults() == []


def test_a_push_says_which_tasks_it_touched() -> None:
    def tasks(event: str, payload: dict[str, Any]) -> frozenset[str]:
        found = events.read({"x-github-event": event, "x-github-delivery": "1"}, json.dumps(payload).encode())
        assert isinstance(found, Notice)
        return found.tasks

    assert tasks("push", {"ref": "refs/heads/agents/fix-login/build.2"}) == {"fix-login"}
    assert tasks("push", {"ref": "refs/heads/work/fix-login"}) == {"fix-login"}
    commits = [{"added": ["tasks/a/b.yaml"], "modified": ["tasks/c/record.yaml"], "removed": [3]}, None]
    assert {"b", "c"} <= tasks("push", {"ref": "refs/heads/main", "commits": commits})
    assert tasks("pull_request", {"pull_request": {"head": {"ref": "agents/x/design"}}}) == {"x"}
    assert tasks("issues", {"issue": {"number": 7}}) == {"issue-7"}
    assert tasks("issues", {"issue": {"number": True}}) == frozenset()


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"x-hub-signature-256": "sha256=" + "0" * 64}, 401),
        ({"x-hub-signature-256": "é"}, 401),
        ({"x-hub-signature-256": ""}, 401),
        (
            {"x-hub-signature-256": "", "x-hub-signature": "sha1=" + hmac.new(SECRET.encode(), PING, sha1).hexdigest()},
            401,
        ),
        ({"x-github-event": ""}, 400),
        ({"x-github-event": "no event"}, 400),
        ({"x-github-delivery": ""}, 400),
        ({"x-github-delivery": "../../etc"}, 400),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": ""}, 415),
    ],
)
def test_what_is_no_signed_delivery_is_refused(service: Service, more: dict[str, str], status: int) -> None:
    found = {name: value.encode() for name, value in headers(PING, **more).items()}
    answer = service.stranger.post("/webhook", content=PING, headers=found)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_signed_payload_that_is_no_object_is_refused(service: Service, body: bytes) -> None:
    assert post(service, body).status_code == 400


def test_a_body_that_was_changed_on_the_way_is_refused(service: Service) -> None:
    answer = service.stranger.post("/webhook", content=PING + b" ", headers=headers(PING))
    assert answer.status_code == 401


def test_while_a_secret_is_exchanged_both_count(service: Service) -> None:
    found = headers(PING) | {"x-hub-signature-256": signature(PING, OTHER)}
    assert service.stranger.post("/webhook", content=PING, headers=found).status_code == 202


def test_a_ping_is_answered_with_what_the_hook_lacks(service: Service) -> None:
    assert "lacks the events" in post(service, PING).json()["note"]
    whole = b'{"hook":{"events":["*"]}}'
    assert "has the events" in post(service, whole).json()["note"]


def test_thirty_megabytes_are_refused_whether_or_not_they_are_announced(service: Service) -> None:
    big = b" " * (30 << 20)
    assert post(service, big).status_code == 413

    def parts() -> Iterator[bytes]:
        for _ in range(30):
            yield b" " * (1 << 20)

    try:
        found = {name: value for name, value in headers(b"").items() if name != "content-length"}
        assert service.stranger.post("/webhook", content=parts(), headers=found).status_code == 413
    except httpx.WriteError:
        pass  # the service hung up while more was being sent


def test_a_body_that_comes_byte_by_byte_is_not_waited_for(service: Service) -> None:
    intake = service.front.intake
    before, intake.patience = intake.patience, 0.3
    try:
        host, port = service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as line:
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers(PING).items())
            line.sendall(f"POST /webhook HTTP/1.1\r\nhost: x\r\ncontent-length: 999\r\n{lines}\r\n{{".encode())
            assert line.recv(100).startswith(b"HTTP/1.1 408")
    finally:
        intake.patience = before


def test_a_delivery_is_entered_once_and_worked_again_only_if_it_was_lost(service: Service) -> None:
    body = b'{"ref":"refs/heads/work/greet"}'
    found = headers(body, "push")
    guid = found["x-github-delivery"]

    def state() -> Any:
        return rows(service, "SELECT state, tries FROM deliveries WHERE guid = ?", guid)

    assert [service.stranger.post("/webhook", content=body, headers=found).status_code for _ in range(3)] == [202] * 3
    until(lambda: state() == [("done", 1)], state)
    assert service.stranger.post("/webhook", content=body, headers=found).status_code == 202
    assert state() == [("done", 1)]
    with sqlite3.connect(service.front.options.index) as conn:
        conn.execute("UPDATE deliveries SET state = 'failed' WHERE guid = ?", (guid,))
    assert service.stranger.post("/webhook", content=body, headers=found).status_code == 202
    until(lambda: state() == [("done", 2)], state)


def test_a_push_to_the_hub_is_in_the_index_a_moment_after_its_delivery(service: Service, tmp_path: Path) -> None:
    clone = service.front.options.site.folder
    add_task(clone, "another", title="Another one")
    git(clone, "push", "-q", "origin", "main")
    assert service.client.get("/api/tasks/another").status_code == 404  # nobody has looked
    post(service, b'{"ref":"refs/heads/main"}', event="push")
    until(lambda: service.client.get("/api/tasks/another").status_code == 200)
    assert service.faults() == []


def test_without_a_secret_no_webhook_is_taken() -> None:
    refusal = events.refuse_head(headers(PING), ())
    assert refusal is not None
    assert refusal.status == 503


def test_a_delivery_that_cannot_be_kept_is_not_taken(hub: tuple[Path, Path]) -> None:
    with serving(hub[1]) as service:
        with sqlite3.connect(service.front.options.index) as conn:
            conn.execute("ALTER TABLE deliveries RENAME TO away")
        answer = post(service, PING)
        assert (answer.status_code, "could not be kept" in answer.json()["detail"]) == (503, True)
        with sqlite3.connect(service.front.options.index) as conn:
            conn.execute("ALTER TABLE away RENAME TO deliveries")
        assert post(service, PING).status_code == 202
