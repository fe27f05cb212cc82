"""A browser that came in has a random word and no token; the word ends with time, by signing out, with the service."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from browser import faults, visiting
from playwright.sync_api import Browser, expect
from repositories import add_task, project, settings
from service.running import READ, WRITE, Service, serving

from webhook.sessions import LIFE, MOST, Sessions

TICKET = "k" * 24


@pytest.fixture
def service(tmp_path: Path, person: Path) -> Iterator[Service]:
    clone = project(tmp_path / "clone", agents=settings())
    add_task(clone)
    with serving(clone, ticket=TICKET) as found:
        yield found


def cookie(word: str) -> dict[str, str]:
    return {"cookie": f"pullwright={word}"}


# --- what a session is ---------------------------------------------------------------------------------------------


def test_a_session_is_a_random_word_that_ends_after_a_week_or_when_somebody_ends_it() -> None:
    now = [0.0]
    sessions = Sessions({}, lambda: now[0])
    one, other = sessions.begin(WRITE), sessions.begin(WRITE)
    assert one != other and WRITE not in one and len(one) >= 32
    assert sessions.token(cookie(one)) == sessions.token(cookie(other)) == WRITE
    sessions.end(one)
    assert (sessions.token(cookie(one)), sessions.token(cookie(other))) == ("", WRITE)
    now[0] = LIFE - 1
    assert sessions.token(cookie(other)) == WRITE
    now[0] = LIFE + 1
    assert sessions.token(cookie(other)) == ""


def test_a_ticket_lets_in_once_and_no_word_but_a_session_counts() -> None:
    sessions = Sessions({TICKET: WRITE})
    begun = sessions.admit(TICKET)
    assert begun and sessions.token(cookie(begun)) == WRITE
    assert sessions.admit(TICKET) is sessions.admit("") is sessions.admit("\udc80") is None
    for word in ("", WRITE, TICKET, begun[:-1], begun + "x", "\udc80"):
        assert sessions.token(cookie(word)) == "", word


def test_there_are_no_more_than_so_many_at_a_time() -> None:
    sessions = Sessions({})
    words = [sessions.begin(WRITE) for _ in range(MOST + 1)]
    assert [sessions.token(cookie(word)) for word in words[:2]] == ["", WRITE]


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
