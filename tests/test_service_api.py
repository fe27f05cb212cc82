"""The API over real HTTP: every route, with what people get wrong; reads from the index, writes in Git."""

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from repositories import add_task, at_home, bare_hub, git, project, settings
from repositories import clone as cloned
from scenes import Scene
from service.running import READ, Service, serving, until

from webhook import shelf

AGENTS = [
    {"name": "scripted", "model": "recording", "provider": "scripted", "endpoint": ".pullwright/replies.yaml"},
    {"name": "spare", "model": "recording", "provider": "scripted", "endpoint": ".pullwright/replies.yaml"},
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service beside a clone with three tasks, one of them with a design that waits."""
    top = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        at_home(top, patch)
        clone = project(top / "clone", agents=settings(*AGENTS))
        add_task(clone)
        add_task(clone, "later", title="Später", depends_on=["greet"], priority=1)
        add_task(clone, "urgent", title="Soon", priority=9, description="about zebras")
        bare_hub(clone, top / "hub.git")
        Scene(clone).run(task="greet")
        with serving(clone) as running:
            yield running


def get(service: Service, path: str, **query: Any) -> Any:
    answer = service.client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def slugs(found: dict[str, Any]) -> list[str]:
    return [task["slug"] for task in found["items"]]


def test_tasks_are_listed_in_the_order_in_which_they_are_taken(service: Service) -> None:
    ours = ["urgent", "greet", "later"]  # besides those that other tests make
    assert [slug for slug in slugs(get(service, "/api/tasks")) if slug in ours] == ours


def test_a_list_is_read_page_by_page(service: Service) -> None:
    found, cursor = [], None
    for _ in range(20):
        page = get(service, "/api/tasks", limit=1, **({"cursor": cursor} if cursor else {}))
        found += slugs(page)
        if (cursor := page["next"]) is None:
            break
    assert found == slugs(get(service, "/api/tasks"))


def test_tasks_are_filtered_and_found_by_their_words(service: Service) -> None:
    assert slugs(get(service, "/api/tasks", status="design")) == ["greet"]
    assert slugs(get(service, "/api/tasks", agent="scripted")) == ["greet"]
    assert slugs(get(service, "/api/tasks", agent="nobody")) == []
    assert slugs(get(service, "/api/tasks", priority=9)) == ["urgent"]
    assert slugs(get(service, "/api/tasks", q="zebr")) == ["urgent"]
    assert slugs(get(service, "/api/tasks", q="spat")) == ["later"]
    assert slugs(get(service, "/api/tasks", q="design is ready")) == ["greet"]  # in its history
    assert slugs(get(service, "/api/tasks", q='") OR *')) == slugs(get(service, "/api/tasks", q="or"))


def test_a_task_is_found_by_slug_and_by_id_with_its_attempts_and_its_proposal(service: Service) -> None:
    task = get(service, "/api/tasks/greet")
    assert task == get(service, f"/api/tasks/{task['id']}")
    assert (task["status"], task["agent"]) == ("design", "scripted")
    assert [attempt["state"] for attempt in task["attempts"]] == ["ready"]
    assert task["proposals"][0]["branch"] == "agents/greet/design"
    assert get(service, "/api/tasks/later")["hold"] == "waits for greet"
    updates = get(service, "/api/tasks/greet/updates")["items"]
    assert task["updated_at"] == max(update["timestamp"] for update in updates)


def test_agents_are_listed_with_their_tasks(service: Service) -> None:
    assert [agent["name"] for agent in get(service, "/api/agents")["items"]] == ["scripted", "spare"]
    agent = get(service, "/api/agents/scripted")
    assert agent == get(service, f"/api/agents/{agent['id']}")
    assert slugs(get(service, "/api/agents/scripted/tasks")) == ["greet"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/tasks/nope", "/api/tasks/nope/updates", "/api/tasks/00000000-0000-0000-0000-000000000000",
        "/api/agents/nope", "/api/agents/nope/tasks", "/api/workspaces/nope/files", "/api/nothing", "/api/tasks/%00",
        "/api/tasks/..%2f..%2fetc", "/api/workspaces/nope/files/src/a",
    ],
)  # fmt: skip
def test_what_is_not_there_is_a_problem_document(service: Service, path: str) -> None:
    answer = service.client.get(path)
    assert (answer.status_code, answer.json()["status"]) == (404, 404)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=201", "cursor=zz", "cursor=WzFd", "status=done", "priority=high"]
)
def test_a_query_that_cannot_be_read_is_refused(service: Service, query: str) -> None:
    answer = service.client.get(f"/api/tasks?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_answer_that_is_known_is_not_sent_again(service: Service) -> None:
    first = service.client.get("/api/tasks")
    again = service.client.get("/api/tasks", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert service.client.get("/api/tasks?limit=1", headers={"if-none-match": first.headers["etag"]}).status_code == 200


def test_writing_needs_a_token_that_may_write(service: Service) -> None:
    task = {"title": "Not by you"}
    assert service.stranger.post("/api/tasks", json=task).status_code == 401
    for token, status in (("wrong" * 5, 401), (READ, 403)):
        answer = service.stranger.post("/api/tasks", json=task, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == status
    assert service.stranger.get("/api/tasks").status_code == 200  # reading on loopback needs none
    assert service.stranger.get("/api/tasks", headers={"authorization": "Bearer wrong"}).status_code == 401


def test_a_page_of_another_site_cannot_use_the_browsers_way_in(service: Service) -> None:
    assert service.stranger.get("/api/tasks", headers={"host": "evil.example"}).status_code == 403
    cookie = {"cookie": service.cookie("w" * 24), "origin": "http://evil.example"}
    assert service.stranger.post("/api/tasks", json={"title": "x"}, headers=cookie).status_code == 403
    answer = service.stranger.get("/api/tasks", headers={"origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_a_new_task_is_a_commit_on_base(service: Service) -> None:
    answer = service.client.post(
        "/api/tasks", json={"title": "Say hello twice", "complexity": 4, "acceptance": ["a: b"]}
    )
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == "/api/tasks/say-hello-twice"
    hub = Path(service.front.options.site.hub.url)
    assert git(hub, "rev-parse", "main") == made["commit"]
    assert git(hub, "diff", "--name-only", "main~1", "main") == "tasks/say-hello-twice.yaml"
    assert get(service, answer.headers["location"])["complexity"] == 4
    assert service.client.post("/api/tasks", json={"title": "Say hello twice"}).status_code == 409


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400), (b"[]", 400), (b'{"title":""}', 400), (b'{"title":"a","id":"../x"}', 400),
        (b'{"title":"\\u0007"}', 422),
        (b'{"title":"a","colour":"red"}', 400), (b'{"title":"a","complexity":11}', 400), (b"{}", 400),
        (b'{"title":"a","id":"record"}', 422), (b'{"title":"a","id":"issue-9"}', 422), (b'{"title":"\xff"}', 400),
        (b'{"title":"a","stages":["build","design"]}', 422), (b'{"title":"\xe2\x9c\x93"}', 422),
    ],
)  # fmt: skip
def test_a_task_that_cannot_be_is_refused(service: Service, body: bytes, status: int) -> None:
    answer = service.client.post("/api/tasks", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_base_that_takes_no_commit_gets_a_branch_to_merge(service: Service) -> None:
    hub = Path(service.front.options.site.hub.url)
    hook = hub / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/main ]\n')
    hook.chmod(0o755)
    try:
        answer = service.client.post("/api/tasks", json={"title": "Protected"})
        assert answer.status_code == 201, answer.text
        assert answer.json()["proposal"] == "pullwright/task/protected"
        assert git(hub, "diff", "--name-only", "main", "pullwright/task/protected") == "tasks/protected.yaml"
    finally:
        hook.unlink()


def test_a_status_is_a_command_with_name_and_reason(service: Service) -> None:
    asked = {"status": "test", "who": "Pat", "reason": "in a hurry"}
    answer = service.client.put("/api/tasks/urgent/status", json=asked)
    assert answer.status_code == 202, answer.text
    hub = Path(service.front.options.site.hub.url)
    said = json.loads(git(hub, "log", "-1", "--format=%B", answer.json()["ref"]))
    assert (said["id"], said["who"], said["args"]["text"]) == (answer.json()["id"], "Pat", "in a hurry")
    assert get(service, "/api/tasks/urgent")["status"] == "test"
    assert "in a hurry" in get(service, "/api/tasks/urgent/updates")["items"][-1]["content"]
    assert service.client.put("/api/tasks/nope/status", json={"status": "test"}).status_code == 404
    assert service.client.put("/api/tasks/urgent/status", json={"status": "done"}).status_code == 400


def test_an_agent_that_is_sent_away_takes_nothing_until_it_is_called_back(service: Service) -> None:
    answer = service.client.put("/api/agents/spare/status", json={"status": "offline"})
    assert answer.status_code == 202, answer.text
    assert get(service, "/api/agents/spare")["status"] == "offline"
    scene = Scene(service.front.options.site.folder)
    assert scene.look().crew().offline == {"spare"}
    assert service.client.put("/api/agents/spare/status", json={"status": "available"}).status_code == 202
    assert get(service, "/api/agents/spare")["status"] == "available"
    assert service.client.put("/api/agents/nope/status", json={"status": "offline"}).status_code == 404
    assert service.client.put("/api/agents/spare/status", json={"status": "busy"}).status_code == 400


def workspace(service: Service) -> tuple[str, Path]:
    """The id and the folder of the workspace that the design's agent had."""
    with sqlite3.connect(service.front.options.index) as conn:
        row = conn.execute("SELECT id, workspace_path FROM agent_workspaces WHERE host NOT NULL").fetchone()
    return row[0], Path(row[1])


def test_a_workspace_is_prepared_once(service: Service) -> None:
    asked = {"agent": "spare", "task": "later"}
    first = service.client.post("/api/workspaces", json=asked)
    assert first.status_code == 201, first.text
    files = get(service, first.headers["location"])["items"]
    assert "src/greeting.txt" in [entry["path"] for entry in files]
    assert service.client.post("/api/workspaces", json=asked).status_code == 200
    assert service.client.post("/api/workspaces", json={"agent": "nope", "task": "later"}).status_code == 404
    assert service.client.post("/api/workspaces", json={"agent": "spare", "task": "nope"}).status_code == 404


def test_files_come_and_go_as_they_are(service: Service) -> None:
    id, root = workspace(service)
    data = bytes(range(256)) * 1000
    sent = service.client.post(f"/api/workspaces/{id}/files?path=output/a b/é.bin", content=data)
    assert sent.status_code == 201, sent.text
    assert (root / "output/a b/é.bin").read_bytes() == data
    answer = service.client.get(f"/api/workspaces/{id}/files/output/a b/é.bin")
    assert answer.content == data
    assert (answer.headers["content-type"], answer.headers["content-disposition"]) == (
        "application/octet-stream",
        "attachment",
    )
    again = service.client.get(answer.url, headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        "..%2f..%2fetc%2fpasswd", "src/..%2f..%2f..%2fsecret", "%2fetc%2fpasswd", "src/%00", "src//x",
        "src%5c..%5csecret", "src/.git/config", "src/.GIT/config", "link/secret", "src/out", "src/out/secret",
        "src/fifo", "src", "%2e%2e/secret", "src/" + "a" * 300, "a/" * 100 + "b",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_a_workspace(service: Service, path: str) -> None:
    id, root = workspace(service)
    (root.parent / "secret").write_text("secret")
    for name, target in (("link", ".."), ("src/out", str(root.parent / "secret")), ("src/loop", ".")):
        if not (root / name).is_symlink():
            (root / name).symlink_to(target)
    if not (root / "src/fifo").exists():
        os.mkfifo(root / "src/fifo")
    raw = httpx.Request("GET", f"{service.url}/x", headers={"authorization": f"Bearer {'w' * 24}"})
    raw.url = raw.url.copy_with(raw_path=f"/api/workspaces/{id}/files/{path}".encode())
    answer = service.client.send(raw)
    assert answer.status_code in (400, 403, 404), answer.text
    assert b"secret" not in answer.content or b"there is no file" in answer.content or b"no regular" in answer.content
    assert "root:" not in answer.text
    listed = get(service, f"/api/workspaces/{id}/files")["items"]
    assert not [entry for entry in listed if entry["path"].startswith("link/") or ".git/" in entry["path"]]


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc/x", "src/../../x", "README.md", "venv/bin/python", "src/.git/hooks/x", "link/x", "src/loop/x", ""],
)
def test_nothing_is_written_out_of_a_workspace(service: Service, path: str) -> None:
    id, root = workspace(service)
    for name, target in (("link", ".."), ("src/loop", ".")):
        if not (root / name).is_symlink():
            (root / name).symlink_to(target)
    answer = service.client.post(f"/api/workspaces/{id}/files", params={"path": path}, content=b"planted")
    assert answer.status_code in (400, 403, 404), answer.text
    assert not (root.parent / "x").exists()


def test_a_link_in_a_files_place_is_replaced_and_not_followed(service: Service) -> None:
    id, root = workspace(service)
    outside = root.parent / "outside"
    outside.write_text("untouched")
    (root / "src" / "planted").symlink_to(outside)
    assert service.client.post(f"/api/workspaces/{id}/files?path=src/planted", content=b"new").status_code == 201
    assert (outside.read_text(), (root / "src" / "planted").read_text()) == ("untouched", "new")


def test_metrics_and_health_are_there(service: Service) -> None:
    text = service.client.get("/metrics").text
    assert 'pullwright_tasks{status="design"} 1' in text
    assert service.stranger.get("/healthz").json()["status"] == "alive"
    until(lambda: service.stranger.get("/readyz").status_code == 200)


def test_nothing_went_wrong_meanwhile(service: Service) -> None:
    assert service.faults() == []


def test_what_is_sent_before_the_first_claim_is_there_for_the_agent(hub: tuple[Path, Path]) -> None:
    bare, clone = hub
    add_task(clone, "quick", stages=["build"], priority=9)
    git(clone, "push", "-q", "origin", "main")
    with serving(clone) as service:
        made = service.client.post("/api/workspaces", json={"agent": "scripted", "task": "quick"})
        place = made.headers["location"]
        for path in ("src/notes/what.txt", "research/data.csv"):
            assert service.client.post(f"{place}?path={path}", content=b"1,2\n").status_code == 201
        Scene(clone).run(task="quick")
    there = git(bare, "ls-tree", "-r", "--name-only", "main").splitlines()
    assert {"notes/what.txt", "tasks/quick/research/data.csv"} <= set(there)
    assert git(bare, "show", "main:greeting.txt") == "hello\ngoodbye"


def test_a_search_for_what_has_no_word_in_it_finds_nothing(service: Service) -> None:
    assert slugs(get(service, "/api/tasks", q="?!")) == []
    assert slugs(get(service, "/api/tasks", q=" ")) == slugs(get(service, "/api/tasks"))


@pytest.mark.parametrize("path", ["/healthz", "/api/tasks", "/api/tasks/none", "/metrics"])
def test_a_head_is_answered_like_a_get_without_its_body(service: Service, path: str) -> None:
    whole, head = service.client.get(path), service.client.head(path)
    assert (head.status_code, head.headers["content-type"]) == (whole.status_code, whole.headers["content-type"])
    assert head.content == b"" and int(head.headers["content-length"]) > 0


def test_the_head_of_a_stream_is_not_waited_for(service: Service) -> None:
    assert service.client.head("/api/events").status_code == 405


def test_who_is_refused_stands_in_the_log_and_is_counted(service: Service) -> None:
    found = service.stranger.get("/metrics", headers={"authorization": "Bearer guessed-by-somebody"})
    assert found.status_code == 401
    refused = {"what": "request", "method": "GET", "path": "/metrics", "status": 401}
    until(lambda: any(refused.items() <= line.items() for line in service.log))  # it is noted after it was answered
    assert 'pullwright_requests_total{path="/metrics",status="401"}' in service.client.get("/metrics").text


def test_a_workspace_on_another_host_is_read_as_the_open_stage_has_it(tmp_path: Path, person: Path) -> None:
    clone = project(tmp_path / "clone", agents=settings(review={"build": "human"}))
    add_task(clone, stages=["design", "build", "complete"])
    bare = bare_hub(clone, tmp_path / "hub.git")
    scene = Scene(clone)
    scene.run()
    scene.approve()  # the branch of the design stays, and its name comes after the build's
    scene.run()
    with serving(cloned(bare, tmp_path / "other")) as service:
        ((id,),) = service.front.reader().conn.execute("SELECT id FROM agent_workspaces").fetchall()
        listed = {each["path"]: each["size"] for each in get(service, f"/api/workspaces/{id}/files")["items"]}
        assert listed["src/greeting.txt"] == len("hello\ngoodbye\n")
        assert service.client.get(f"/api/workspaces/{id}/files/src/greeting.txt").text == "hello\ngoodbye\n"
        assert service.client.get(f"/api/workspaces/{id}/files/src/none").status_code == 404
        assert service.client.post(f"/api/workspaces/{id}/files?path=src/x", content=b"").status_code == 409


@pytest.mark.parametrize("seconds", [-1e18, -1.0, 0.0, 1e10, 1e18])
def test_whatever_time_an_agent_gives_a_file_it_can_be_listed(seconds: float) -> None:
    assert len(shelf.moment(seconds)) == len("2026-01-01T00:00:00Z")


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_json_is_taken_as_json_alone(service: Service, kind: str) -> None:
    """No form of another site can send it so, whatever the browser sends along."""
    body = b'{"title": "Not by a form", "task": "greet", "agent": "scripted", "text": "x"}'
    headers = {"content-type": kind} if kind else {}
    paths = ("/api/tasks", "/api/workspaces", "/api/discussions", "/api/discussions/greet/messages")
    asked = [("POST", path) for path in (*paths, "/api/discussions/greet/tasks")]
    for method, path in [*asked, ("PUT", "/api/tasks/greet/status"), ("PUT", "/api/agents/scripted/status")]:
        answer = service.client.request(method, path, content=body, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (415, "application/problem+json"), path
        assert "content-type: application/json" in answer.json()["detail"]
    said = service.client.post("/api/discussions", content=b'{"task": "greet"}', headers={"content-type": JSON})
    assert said.status_code in (200, 201)


JSON = "application/json; charset=utf-8"
