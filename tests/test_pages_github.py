"""The pages where people approve on GitHub: the link leads to the review, every other act is done from here."""

from pathlib import Path

import httpx
import pytest
from fake_github.office import Office, told_twice
from fake_github.server import FakeGitHub
from page_parts import form
from service.running import Service
from service.visitors import hooked, seen

HTML = {"accept": "text/html"}


@pytest.fixture
def office(fake: FakeGitHub, bot: str, tmp_path: Path) -> Office:
    """An issue that is a task, whose agent asks something before it designs."""
    told = told_twice("issue-1")
    told["design"] = [("ask", {"question": "English, or Latin?"}), *told["design"]]
    found = Office(fake, tmp_path, replies=told)
    found.label(found.issue().number)
    found.run()
    return found


def act(service: Service, verb: str, **fields: str) -> httpx.Response:
    found: httpx.Response = form(service, f"/tasks/issue-1/{verb}", **fields)
    return found


def page(service: Service) -> str:
    return service.client.get("/tasks/issue-1", headers=HTML).text


def test_the_page_leads_to_the_review_on_github_and_does_everything_else_itself(office: Office) -> None:
    acts = [("pause", ""), ("resume", ""), ("answer", "Latin"), ("comment", "More"), ("reject", "No"), ("retry", "")]
    number = 0
    with hooked(office, dispatch="none") as service:

        def review(**more: str) -> httpx.Response:
            return service.client.get("/tasks/issue-1/review", headers=HTML | more)

        answer = review()
        assert (answer.status_code, "no open pull request for it yet" in answer.text) == (409, True)
        for verb, text in acts:
            assert act(service, verb, text=text).status_code == 303, verb
            if verb == "answer":
                office.run()
                seen(service, lambda: 'href="/tasks/issue-1/review"' in page(service), "a proposal")
                assert "Approve design" not in page(service) and "Reject with this reason" in page(service)
                answer = act(service, "approve")
                assert (answer.status_code, "proposals are merged on GitHub" in answer.text) == (409, True)
                answer, number = review(), office.pull().number
                assert answer.status_code == 303
                assert answer.headers["location"].endswith(f"/pull/{number}/files")
                for site in ("cross-site", "same-site"):
                    assert review(**{"sec-fetch-site": site}).headers["location"] == "/tasks/issue-1"
        office.run()
        assert office.world.issues[number].state == "closed", "another attempt has begun"
        assert service.faults() == []
    assert [(said.verb, said.text, said.who) for said in office.task().commands[1:]] == [
        (verb, text, "Pat <pat@example.invalid>") for verb, text in acts
    ]
