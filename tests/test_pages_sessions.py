"""A browser that came in has a random word and no token; the word ends with time, by signing out, with its token."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from browser import faults, visiting
from page_parts import said
from playwright.sync_api import Browser, expect
from repositories import add_task, bare_hub, git, project, settings
from service.running import READ, WRITE, Service, serving

from runner.errors import UserError
from runner.host import site_at
from webhook.options import Options, tokens
from webhook.sessions import LIFE, Sessions, sessions

TICKET, ADA, RITA = "k" * 24, "a" * 24, "i" * 24
Hub = tuple[Path, Path]


@pytest.fixture
def service(tmp_path: Path, person: Path) -> Iterator[Service]:
    clone = project(tmp_path / "clone", agents=settings())
    add_task(clone)
    with serving(clone, ticket=TICKET) as found:
        yield found


def cookie(word: str) -> dict[str, str]:
    return {"cookie": f"pullwright={word}"}


# --- what a session is ---------------------------------------------------------------------------------------------


KNOWN = {WRITE: WRITE, READ: READ}


def test_a_session_is_a_random_word_that_ends_after_a_week_or_when_somebody_ends_it(tmp_path: Path) -> None:
    now = [0.0]
    sessions = Sessions(tmp_path, KNOWN, {}, lambda: now[0])
    one, other = sessions.begin(WRITE), sessions.begin(WRITE)
    assert one != other and WRITE not in one and len(one) >= 32
    assert sessions.token(cookie(one)) == sessions.token(cookie(other)) == WRITE
    sessions.end(one)
    assert (sessions.token(cookie(one)), sessions.token(cookie(other))) == ("", WRITE)
    now[0] = LIFE - 1
    assert sessions.token(cookie(other)) == WRITE
    now[0] = LIFE + 1
    assert sessions.token(cookie(other)) == ""
    sessions.begin(READ)
    assert len(list(tmp_path.iterdir())) == 1, "what has ended is taken out"


def test_a_session_outlives_its_service_and_ends_with_its_token(tmp_path: Path) -> None:
    word = Sessions(tmp_path, KNOWN, {}).begin(WRITE)
    anew = Sessions(tmp_path, {"n" * 24: "n" * 24} | KNOWN, {})
    assert anew.token(cookie(word)) == WRITE
    assert Sessions(tmp_path, {READ: READ}, {}).token(cookie(word)) == ""
    anew.end(word)
    assert (Sessions(tmp_path, KNOWN, {}).token(cookie(word)), list(tmp_path.iterdir())) == ("", [])


def test_what_is_kept_of_a_session_opens_nothing_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "sessions"
    sessions = Sessions(folder, KNOWN, {})
    word = sessions.begin(WRITE)
    (path,) = folder.iterdir()
    assert [entry.stat().st_mode & 0o777 for entry in (folder, path)] == [0o700, 0o600]
    kept = f"{path.name} {path.read_text()}"
    assert WRITE not in kept and word not in kept
    for known in re.findall(r"[0-9a-f]{64}", kept):
        assert sessions.token(cookie(known)) == "" and known != sha256(WRITE.encode()).hexdigest()
    copied = folder / sha256(b"another").hexdigest()
    copied.write_bytes(path.read_bytes())
    assert sessions.token(cookie("another")) == "", "a seal is good for its own word alone"
    for nonsense in (b"", b"{}", b"\xff", path.read_bytes()[:-9]):
        path.write_bytes(nonsense)
        assert sessions.token(cookie(word)) == "", nonsense


def test_those_whom_this_machine_let_in_stay_while_the_service_makes_its_own_token(tmp_path: Path, hub: Hub) -> None:
    run = [Options(site_at(hub[1]), writers=(own,), own=own, ticket=TICKET) for own in ("a" * 24, "b" * 24)]
    word = sessions(run[0]).admit(TICKET)
    assert word and sessions(run[1]).token(cookie(word)) == "b" * 24
    assert sessions(replace(run[1], own="", ticket="")).token(cookie(word)) == "", "now there is one of somebody's own"


def test_a_ticket_lets_in_once_and_no_word_but_a_session_counts(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path, KNOWN, {TICKET: WRITE})
    begun = sessions.admit(TICKET)
    assert begun and sessions.token(cookie(begun)) == WRITE
    assert sessions.admit(TICKET) is sessions.admit("") is sessions.admit("\udc80") is None
    for word in ("", WRITE, TICKET, begun[:-1], begun + "x", "\udc80"):
        assert sessions.token(cookie(word)) == "", word


def test_there_are_no_more_than_so_many_at_a_time(tmp_path: Path) -> None:
    now = [0.0]
    sessions = Sessions(tmp_path, KNOWN, {}, lambda: now[0], most=3)
    words = []
    for now[0] in range(5):
        words.append(sessions.begin(WRITE))
    assert [sessions.token(cookie(word)) for word in words] == ["", "", WRITE, WRITE, WRITE]


# --- in a service --------------------------------------------------------------------------------------------------


def test_the_printed_link_lets_one_browser_in_and_is_worth_nothing_afterwards(service: Service) -> None:
    answer = service.stranger.get(f"{service.url}//evil.example/x?ticket={TICKET}&a=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/evil.example/x?a=1")
    said = answer.headers["set-cookie"]
    assert "HttpOnly; SameSite=Strict" in said and f"Max-Age={LIFE}" in said and "Path=/;" in said
    assert WRITE not in str(answer.headers) and TICKET not in str(answer.headers)
    given = {"origin": service.url}
    assert service.stranger.post("/tasks/greet/pause", headers=given).status_code == 303
    again = service.stranger.get(f"/tasks/greet?ticket={TICKET}")
    assert again.headers["location"] == "/tasks/greet", "in the same browser it leads on"
    service.stranger.cookies.clear()
    for word in (TICKET, "nonsense", ""):
        answer = service.stranger.get(f"/tasks/greet?ticket={word}")
        assert answer.headers["location"] == "/login?used=1&then=/tasks/greet"
        assert "set-cookie" not in answer.headers
    assert "it does so once" in service.stranger.get(answer.headers["location"], headers={"accept": "text/html"}).text
    assert service.stranger.post("/tasks/greet/pause", headers=given).status_code == 401


def test_signing_out_ends_the_session_itself_and_not_just_the_cookie(service: Service) -> None:
    for token in (WRITE, READ):
        given = {"cookie": service.cookie(token), "origin": service.url}
        assert service.stranger.post("/logout", headers=given | {"origin": "http://evil.example"}).status_code == 403
        before = service.stranger.post("/tasks/nothing/pause", headers=given).status_code
        assert before == (404 if token == WRITE else 403)
        answer = service.stranger.post("/logout", headers=given)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert answer.headers["set-cookie"].count("Max-Age=0") == 2
        assert service.stranger.post("/tasks/nothing/pause", headers=given).status_code == 401


def test_who_signs_out_hears_no_more(tmp_path: Path, person: Path) -> None:
    clone = project(tmp_path / "clone", agents=settings())
    add_task(clone)
    with serving(clone, host="0.0.0.0") as service:
        service.client.post("/api/discussions", json={"task": "greet"})
        for path in ("/api/events", "/api/discussions/greet/events"):
            given = {"cookie": service.cookie(WRITE), "origin": service.url}
            with service.stranger.stream("GET", path, headers=given, timeout=60) as answer:
                lines = answer.iter_lines()
                next(lines)
                assert httpx.post(f"{service.url}/logout", headers=given).status_code == 303
                for _ in lines:  # ends, where it went on for ever
                    pass


def test_the_sessions_of_a_token_end_when_it_does_not_count_any_more(service: Service) -> None:
    given = {"cookie": service.cookie(WRITE), "origin": service.url}
    assert service.stranger.post("/tasks/nothing/pause", headers=given).status_code == 404
    room = service.front.inner.state.room
    service.front.options = room.options = replace(room.options, writers=("n" * 24,))
    assert service.stranger.post("/tasks/nothing/pause", headers=given).status_code == 401


def test_a_token_in_a_cookie_or_an_address_is_none(service: Service) -> None:
    port = service.url.rpartition(":")[2]
    given = {"cookie": f"pullwright-{port}={WRITE}; pullwright={WRITE}", "origin": service.url}
    assert service.stranger.post("/tasks/nothing/pause", headers=given).status_code == 401
    assert "set-cookie" not in service.stranger.get(f"/?token={WRITE}").headers


def test_a_person_signs_in_and_out(service: Service, chromium: Browser) -> None:
    with visiting(chromium, service.url) as visit:
        page = visit.go(f"/tasks/greet?ticket={TICKET}")
        assert page.url == f"{service.url}/tasks/greet"
        page.locator(".me a").click()
        visit.picture("login-inside")
        assert faults(page) == []
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        assert page.context.cookies() == []
        page.get_by_label("Your name").fill("Ada")
        page.get_by_label("Token").fill(WRITE)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator(".me")).to_contain_text("Ada")
        assert WRITE not in str(page.context.cookies())
        assert visit.noticed == []


def test_a_browser_stays_in_when_the_service_is_started_anew(tmp_path: Path, person: Path) -> None:
    clone = project(tmp_path / "clone", agents=settings())
    add_task(clone)
    with serving(clone, host="0.0.0.0") as service:
        given = {"cookie": service.cookie(WRITE).partition("; ")[2], "origin": "http://localhost", "host": "localhost"}
    with serving(clone, host="0.0.0.0") as service:
        assert service.stranger.post("/tasks/greet/pause", headers=given).status_code == 303
        assert service.stranger.post("/logout", headers=given).status_code == 303
    with serving(clone, host="0.0.0.0") as service:
        assert service.stranger.post("/tasks/greet/resume", headers=given).status_code == 401


# --- tokens with names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (WRITE, {WRITE: ""}),
        (f" ada:{WRITE}\t{READ} ", {WRITE: "ada", READ: ""}),
        (f"ada@example.org:{WRITE} 李雷:{READ}", {WRITE: "ada@example.org", READ: "李雷"}),
        (f"ada:{WRITE} ada:{READ}", {WRITE: "ada", READ: "ada"}),
    ],
)
def test_a_token_may_have_a_name(words: str, found: dict[str, str]) -> None:
    assert tokens({"X": words}, "X") == found


@pytest.mark.parametrize(
    "words", [f":{WRITE}", f"a:b:{WRITE}", f"<a>:{WRITE}", f"a(1):{WRITE}", f"a:{WRITE} b:{WRITE}"]
)
def test_a_token_with_a_name_that_cannot_be_is_refused_and_not_shown(words: str) -> None:
    with pytest.raises(UserError, match="write TOKEN or NAME:TOKEN") as caught:
        tokens({"X": words}, "X")
    assert WRITE not in str(caught.value)


@pytest.fixture
def named(tmp_path: Path, person: Path) -> Iterator[tuple[Service, Path]]:
    """A service that knows Ada and Rita by their tokens, and whoever has the other ones."""
    clone = project(tmp_path / "clone", agents=settings())
    add_task(clone)
    hub = bare_hub(clone, tmp_path / "hub.git")
    names = {ADA: "ada", RITA: "rita"}
    with serving(clone, writers=(WRITE, ADA), readers=(READ, RITA), names=names, debounce=0.01) as found:
        yield found, hub


def test_what_comes_with_a_token_that_has_a_name_is_written_under_it_whatever_is_claimed(
    named: tuple[Service, Path],
) -> None:
    service, hub = named
    ada = {"headers": {"authorization": f"Bearer {ADA}"}}
    asked = {"task": "greet", "text": "Why?", "who": "Bob", "title": "x"}
    post, put = service.stranger.post, service.stranger.put
    assert post("/api/discussions", json=asked, **ada).json()["created"]["who"] == "ada <token>"
    message = {"text": "Say it twice.", "who": "Bob <bob@example.org>"}
    assert post("/api/discussions/greet/messages", json=message, **ada).json()["who"] == "ada <token>"
    assert post("/api/discussions/greet/files?name=a.txt&who=Bob", content=b"a", **ada).status_code == 201
    assert put("/api/tasks/greet/status", json={"status": "build", "who": "Bob"}, **ada).status_code == 202
    assert put("/api/agents/scripted/status", json={"status": "offline", "who": "Bob"}, **ada).status_code == 202
    assert post("/api/tasks", json={"title": "One"}, **ada).status_code == 201
    assert post("/api/discussions/greet/tasks", json={"title": "Two"}, **ada).status_code == 201
    page = {"cookie": service.cookie(ADA) + "; pullwright-name=Bob", "origin": service.url}
    assert post("/tasks/greet/pause", headers=page).status_code == 303
    assert post("/new", data={"title": "Three"}, headers=page).status_code == 303
    written = git(hub, "log", "--all", "--format=%an <%ae> %s%n%b")
    assert "Bob" not in written
    tasks = [line for line in written.splitlines() if " Task: " in line and "greet" not in line]
    assert sorted(tasks) == [f"ada <token> Task: {title}" for title in ("One", "Three", "Two")]
    assert {line["who"] for line in map(json.loads, said(hub, "greet"))} == {"ada <token>"}


def test_nobody_else_takes_the_name_of_a_token(named: tuple[Service, Path]) -> None:
    service, hub = named
    before = git(hub, "for-each-ref")
    for claim in ("ada", "ADA", "ａｄａ (7)"):
        for path, body in (
            ("/api/discussions", {"task": "greet", "who": f" {claim} <token>"}),
            ("/api/discussions/greet/messages", {"text": "x", "who": claim}),
        ):
            answer = service.client.post(path, json=body)
            assert (answer.status_code, "is the name of a token" in answer.json()["detail"]) == (403, True)
        assert service.client.put("/api/tasks/greet/status", json={"status": "build", "who": claim}).status_code == 403
        assert service.client.post(f"/api/discussions/greet/files?name=a&who={claim}", content=b"a").status_code == 403
        assert git(hub, "for-each-ref") == before
        given = {"cookie": service.cookie(WRITE), "origin": service.url}
        answer = service.stranger.post("/login", data={"name": claim}, headers=given)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    forged = given | {"cookie": f"{given['cookie']}; pullwright-name={quote('ADA')}"}
    assert service.stranger.post("/tasks/greet/pause", headers=forged).status_code == 303
    assert json.loads(said(hub, "greet")[-1])["who"] == "Pat <pat@example.invalid>", "as Git has it, on this machine"


def test_the_page_says_as_whom_one_is_signed_in(named: tuple[Service, Path]) -> None:
    service, _ = named

    def shown(token: str, path: str = "/") -> str:
        headers = {"cookie": service.cookie(token) + "; pullwright-name=Bob"} if token else {}
        text = service.stranger.get(path, headers=headers | {"accept": "text/html"}).text
        return " ".join(re.sub(r"<[^>]*>", " ", text.partition('<p class="me">')[2].partition("</p>")[0]).split())

    assert [shown(token) for token in (ADA, RITA, WRITE, READ, "")] == [
        *(f"You are signed in as {name}" for name in ("ada", "rita", "Bob", "Bob")), "Sign in",
    ]  # fmt: skip
    login = service.stranger.get("/login", headers={"cookie": service.cookie(ADA)}).text
    assert "You are <b>ada</b>" in login and 'name="name"' not in login and "Sign out" in login
