"""The pages over real HTTP and in a real Chromium: what they show, what one can do there, for whom they are usable."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Visit, faults, visiting
from page_parts import asking, at_many_places, form, said
from playwright.sync_api import Browser, expect
from repositories import add_task, bare_hub, git, project, settings
from scenes import Scene
from service.running import READ, WRITE, Service, serving

expect.set_options(timeout=60_000)
PAGES = (
    "/", "/?q=zebras", "/?status=design", "/tasks/greet", "/tasks/asks", "/tasks/rests", "/tasks/hostile?changes=all",
    "/tasks/hostile/files/tasks/hostile/research/table.csv", "/agents", "/agents/gemma", "/discussions",
    "/discussions/greet", "/new", "/login", "/tasks/nothing",
)  # fmt: skip


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    with pytest.MonkeyPatch.context() as patch, at_many_places(tmp_path_factory.mktemp("pages"), patch) as found:
        yield found
        assert found[0].faults() == []


@pytest.fixture
def visit(places: tuple[Service, Path], chromium: Browser) -> Iterator[Visit]:
    with visiting(chromium, places[0].url, token=WRITE) as one:
        yield one


def show(service: Service, path: str) -> str:
    answer = service.client.get(path, headers={"accept": "text/html"})
    assert answer.headers["content-type"].startswith("text/html"), answer.text
    return answer.text


# --- what is shown -------------------------------------------------------------------------------------------------


def test_the_board_has_a_column_a_stage_and_holds_stand_out_with_their_way_out(visit: Visit) -> None:
    page = visit.go("/")
    assert page.locator(".column h2 a").all_inner_texts() == [
        "not started", "design", "build", "test", "review", "complete",
    ]  # fmt: skip
    needs = page.locator(".needs li")
    assert needs.count() == 4
    expect(needs.filter(has_text="Which language?")).to_contain_text("needs input: English, or Latin?")
    expect(needs.filter(has_text="Which language?").locator(".way")).to_have_text('Way out: pullwright answer asks "…"')
    expect(needs.filter(has_text="It rests").locator(".way")).to_contain_text("pullwright resume rests")
    expect(needs.filter(has_text="Say goodbye")).to_contain_text("design is ready")
    expect(page.locator("#t-later")).to_contain_text("waits for greet")
    assert visit.noticed == []


def test_tasks_are_searched_by_their_words_and_filtered(visit: Visit) -> None:
    page = visit.go("/agents")
    page.keyboard.press("Control+k")
    page.keyboard.type("zebr")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=zebr")
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator(".card")).to_contain_text("Later")
    page = visit.go("/")
    page.get_by_label("Agent").select_option("sonnet")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator(".card")).to_have_count(1)
    expect(page.locator(".card")).to_contain_text("Which language?")
    expect(visit.go("/?q=nothing+like+it").locator(".hint")).to_contain_text("No task is like that")


def test_a_task_shows_its_design_its_changes_its_gates_and_its_history(visit: Visit) -> None:
    page = visit.go("/tasks/greet")
    expect(page.locator(".document .prose")).to_contain_text("A second line says goodbye.")
    expect(page.locator(".changes .file")).to_contain_text("tasks/greet/design.md")
    assert "record.yaml" not in page.locator(".changes").inner_text()
    expect(page.locator(".gates .passed").first).to_contain_text("design document passed")
    expect(page.locator(".history")).to_contain_text("design is ready")
    expect(page.locator(".attempts")).to_contain_text("gemma3:4b")
    expect(page.locator(".stages [aria-current]")).to_contain_text("design")
    expect(visit.go("/tasks/rests").locator(".history")).to_contain_text("Pat <pat@example.invalid>")


def test_agents_show_what_they_have_done_by_complexity(visit: Visit) -> None:
    page = visit.go("/agents")
    expect(page.locator(".crew > li")).to_have_count(2)
    page.get_by_role("link", name="gemma").click()
    row = page.get_by_role("row").filter(has_text="100 %").first
    expect(row).to_be_visible()
    expect(page.locator(".list")).to_contain_text("Say goodbye")
    row = (
        visit.go("/agents/sonnet").get_by_role("row").filter(has_text="6")
    )  # it waits for an answer: that is no failure
    expect(row.get_by_role("cell").nth(1)).to_have_text("0")


def test_everything_can_be_read_and_done_without_a_script(places: tuple[Service, Path], chromium: Browser) -> None:
    with visiting(chromium, places[0].url, token=WRITE, script=False) as visit:
        page = visit.go("/")
        expect(page.locator(".card")).to_have_count(5)
        page = visit.go("/tasks/later")
        page.get_by_role("button", name="Pause").click()
        expect(page.locator(".notice")).to_have_text("Paused.")
        page.get_by_role("button", name="Resume").click()
        expect(page.locator(".turn.wait")).to_contain_text("waits for greet")
        visit.go("/discussions/later")
        expect(page.get_by_label("Your message")).to_be_visible()
    assert [json.loads(line)["verb"] for line in said(places[1], "later")] == ["pause", "resume"]


@pytest.mark.parametrize(("scheme", "width"), [("light", 360), ("dark", 1280)])
def test_the_pages_are_for_everybody(places: tuple[Service, Path], chromium: Browser, scheme: str, width: int) -> None:
    with visiting(chromium, places[0].url, token=WRITE, scheme=scheme, width=width) as visit:
        for path in PAGES:
            page = visit.go(path)
            assert faults(page) == []
            assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, (
                path
            )
            assert page.locator("h1").count() == 1, path


def test_the_keyboard_reaches_what_is_there_and_focus_is_seen(visit: Visit) -> None:
    page = visit.go("/tasks/greet")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


# --- what is done --------------------------------------------------------------------------------------------------


@pytest.fixture
def fresh(tmp_path: Path, person: Path) -> Iterator[tuple[Service, Path]]:
    """A service beside a hub with one task, whose design waits."""
    clone = project(tmp_path / "clone", agents=settings())
    add_task(clone)
    hub = bare_hub(clone, tmp_path / "hub.git")
    Scene(clone).run()
    with serving(clone) as service:
        yield service, hub


def head(hub: Path) -> str:
    return git(hub, "rev-parse", "agents/greet/design")


def test_every_act_of_the_page_is_a_command_under_the_persons_name(fresh: tuple[Service, Path]) -> None:
    service, hub = fresh
    acts: list[tuple[str, dict[str, str]]] = [
        ("comment", {"text": "More\r\nwords"}), ("pause", {}), ("resume", {}), ("assign", {"agent": "scripted"}),
        ("set-budget", {"steps": "50"}), ("set-budget", {"cost": "2.5"}),
        ("set-status", {"status": "design", "text": "x"}), ("cancel", {}), ("retry", {}),
    ]  # fmt: skip
    for verb, fields in acts:
        answer = form(service, f"/tasks/greet/{verb}", **fields)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/tasks/greet?done={verb}"), verb
    commands = [json.loads(line) for line in said(hub, "greet")]
    assert [command["verb"] for command in commands] == [verb for verb, _ in acts]
    assert {command["who"] for command in commands} == {"Pat <pat@example.invalid>"}
    assert commands[0]["args"]["text"] == "More\nwords"
    assert commands[5]["args"]["budget"] == {"steps": 50, "cost": 2.5}
    history = show(service, "/tasks/greet")
    assert history.count("Pat &lt;pat@example.invalid&gt;") >= len(acts)


def test_approving_merges_what_was_looked_at_and_nothing_newer(fresh: tuple[Service, Path]) -> None:
    service, hub = fresh
    answer = form(service, "/tasks/greet/approve", head="0" * 40)
    assert answer.status_code == 409
    assert "the proposal has changed since you looked at it" in answer.text
    assert form(service, "/tasks/greet/approve", head=head(hub)).status_code == 303
    assert git(hub, "log", "-1", "--format=%an %s", "work/greet") == "Pat Merge design of greet into work/greet"
    assert form(service, "/tasks/greet/approve", head=head(hub)).status_code == 409


def test_what_makes_no_sense_is_told_on_the_page_and_changes_nothing(places: tuple[Service, Path]) -> None:
    service, hub = places
    before = git(hub, "for-each-ref")
    for verb, fields, status, words in (
        ("answer", {"text": "yes"}, 409, "it asks nothing"),
        ("resume", {}, 409, "it is not paused"),
        ("assign", {"agent": "nobody"}, 409, "there is no agent nobody"),
        ("set-status", {"status": "lunch"}, 409, "it has no stage lunch"),
        ("comment", {"text": " "}, 422, "it needs words"),
        ("set-budget", {"steps": "many"}, 422, "a bound is a number"),
        ("explode", {}, 404, "nothing called explode"),
    ):
        answer = form(service, f"/tasks/greet/{verb}", **fields)
        assert (answer.status_code, words in answer.text) == (status, True), verb
    assert 'name="asked" value="2' in show(service, "/tasks/asks")
    answer = form(service, "/tasks/asks/answer", text="Latin", asked="2020-01-01T00:00:00Z")
    assert answer.status_code == 409 and "it asks something else by now" in answer.text
    assert git(hub, "for-each-ref") == before


def test_an_answer_from_a_discussion_goes_to_the_question_that_was_seen(tmp_path: Path, person: Path) -> None:
    clone = project(tmp_path / "clone", agents=settings(), replies=asking())
    add_task(clone)
    hub = bare_hub(clone, tmp_path / "hub.git")
    Scene(clone).run()
    other, path = "2020-01-01T00:00:00Z", "/api/discussions/greet/messages"
    with serving(clone) as service:
        (since,) = [one["hold"]["since"] for one in service.client.get("/api/tasks/greet").json()["attempts"]]
        page = show(service, "/discussions/greet")
        assert "scripted asks:</b> English, or Latin?" in page
        assert f'name="asked" value="{since}"' in page
        service.client.post("/api/discussions", json={"task": "greet"})
        before = git(hub, "for-each-ref")
        answer = service.client.post(path, json={"text": "Latin", "as": "answer", "asked": other})
        assert (answer.status_code, "asks something else by now" in answer.json()["detail"]) == (409, True)
        answer = form(service, "/discussions/greet/messages", text="Latin", asked=other, **{"as": "answer"})
        assert (answer.status_code, "asks something else by now" in answer.text) == (409, True)
        assert git(hub, "for-each-ref") == before
        given = {"text": "Latin", "as": "answer", "asked": since, "id": "0f0e0d0c-0b0a-4908-8706-050403020100"}
        assert [service.client.post(path, json=given).status_code for _ in range(2)] == [202, 200]
        assert [json.loads(line)["verb"] for line in said(hub, "greet")] == ["answer"]
        assert service.client.post(path, json={"text": "Or not", "as": "answer"}).status_code == 202, "as it was"


def test_a_rejection_holds_the_task(fresh: tuple[Service, Path]) -> None:
    service, _ = fresh
    assert form(service, "/tasks/greet/reject", text="Not like this").status_code == 303
    page = show(service, "/tasks/greet")
    assert "rejected" in page
    assert "Retry" in page


def test_a_task_is_written_in_a_form_and_wrong_words_stay_in_it(fresh: tuple[Service, Path]) -> None:
    service, hub = fresh
    wrong = form(service, "/new", title="Greet the cat", complexity="99", description="Softly")
    assert wrong.status_code == 422
    assert 'value="Greet the cat"' in wrong.text
    made = form(service, "/new", title="Greet the cat", complexity="4", acceptance="it purrs", stages="build", cost="1")
    assert made.headers["location"] == "/tasks/greet-the-cat?done=made"
    text = git(hub, "show", "main:tasks/greet-the-cat.yaml")
    assert "complexity: 4" in text
    assert "it purrs" in text
    assert form(service, "/new", title="Greet the cat").status_code == 422


def test_an_agent_is_sent_away_and_called_back(places: tuple[Service, Path]) -> None:
    service, _ = places
    assert form(service, "/agents/sonnet/status", status="offline", text="for a walk").status_code == 303
    assert "Call it back" in show(service, "/agents/sonnet")
    assert form(service, "/agents/sonnet/status", status="gone").status_code == 422
    form(service, "/agents/sonnet/status", status="available")
    assert "Send it away" in show(service, "/agents/sonnet")


# --- who may -------------------------------------------------------------------------------------------------------


def test_only_our_own_pages_and_those_who_may_can_do_anything(places: tuple[Service, Path]) -> None:
    service, hub = places
    before = git(hub, "for-each-ref")
    post = service.stranger.post
    cookie = {"cookie": service.cookie(WRITE)}
    for headers, status in (
        ({}, 401),
        (cookie, 403),
        (cookie | {"origin": "http://evil.example"}, 403),
        (cookie | {"origin": "null"}, 403),
        (cookie | {"sec-fetch-site": "cross-site"}, 403),
        (cookie | {"sec-fetch-site": "same-site"}, 403),
        ({"cookie": service.cookie(READ), "origin": service.url}, 403),
    ):
        assert post("/tasks/hostile/pause", headers=headers).status_code == status, headers
    assert git(hub, "for-each-ref") == before
    assert post("/tasks/hostile/pause", headers=cookie | {"sec-fetch-site": "same-origin"}).status_code == 303
    assert form(service, "/tasks/hostile/resume").status_code == 303


def test_whoever_may_only_look_is_shown_no_buttons(places: tuple[Service, Path]) -> None:
    page = places[0].stranger.get("/tasks/greet", headers={"accept": "text/html"}).text
    assert "Approve design" not in page
    assert 'href="/login?then=/tasks/greet"' in page
    reader = {"accept": "text/html", "cookie": places[0].cookie(READ)}
    page = places[0].stranger.get("/tasks/greet", headers=reader).text
    assert "Your token may read, and change nothing" in page and "Approve design" not in page


def test_every_page_comes_with_a_policy_under_which_nothing_of_others_runs(places: tuple[Service, Path]) -> None:
    for path in PAGES:
        answer = places[0].client.get(path, headers={"accept": "text/html"})
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';")
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert " style=" not in answer.text
        assert "<script>" not in answer.text


def test_where_others_can_reach_the_service_a_token_and_a_name_are_given_first(
    tmp_path: Path, person: Path, chromium: Browser
) -> None:
    clone = project(tmp_path / "clone", agents=settings())
    add_task(clone)
    hub = bare_hub(clone, tmp_path / "hub.git")
    with serving(clone, host="0.0.0.0") as service, visiting(chromium, service.url) as visit:
        page = visit.go("/tasks/greet")
        expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
        assert faults(page) == []
        page.get_by_label("Your name").fill("Ada <b>")
        page.get_by_label("Token").fill("wrong" * 5)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("This token is not known.")
        page.get_by_label("Your name").fill("Ada <b>")
        page.get_by_label("Token").fill(WRITE)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Say goodbye")
        cookies = page.context.cookies()
        assert all(cookie["httpOnly"] and cookie["sameSite"] == "Strict" for cookie in cookies)
        page.get_by_role("button", name="Pause").click()
        expect(page.locator(".notice")).to_have_text("Paused.")
    assert [json.loads(line)["who"] for line in said(hub, "greet")] == ["Ada b"]
