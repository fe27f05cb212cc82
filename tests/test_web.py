"""Pages and searches: public places only, bounded, robots respected, kept with their age, and marked."""

import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_parts import PAGE, Site, drip, endless, redirect, search_service, site

from runner.errors import ToolError
from runner.sandbox.bubblewrap import Bubblewrap
from runner.web import readable
from runner.web.fetching import Fetcher, forget
from runner.web.pace import MOST_REQUESTS, Pace
from runner.web.readable_inside import markdown
from runner.web.request import Bounds, checked, get
from runner.web.robots import permitted
from runner.web.searching import search

HTML = ("text/html; charset=utf-8", PAGE)


def fetcher(folder: Path, *sites: Site, seconds: float = 60.0, now: list[float] | None = None) -> Fetcher:
    clock = now or [1000.0]
    bounds = Bounds(frozenset(each.place for each in sites), seconds)
    return Fetcher(
        folder / "web", markdown, bounds=bounds, pace=Pace(folder / "pace", sleep=lambda _: None), now=lambda: clock[0]
    )


def test_a_page_becomes_markdown(tmp_path: Path) -> None:
    with site({"/": HTML}) as here:
        page = fetcher(tmp_path, here).fetch(here.url("/"))
    assert page.title == "Dates & times" and page.text.startswith("# Parsing dates")
    assert f"Use `fromisoformat`, see [more]({here.url('/more')})." in page.text
    assert "- one\n- two **bold**" in page.text and "```\nx = 1\ny = 2\n```" in page.text and "| a | b |" in page.text
    for dropped in ("alert", "Home", "imprint", "SYSTEM", "hidden words"):
        assert dropped not in page.text


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/", "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/",
        "http://192.168.1.1/", "http://172.16.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://0/",
        "http://[fe80::1]/", "http://[fd00::1]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/",
        "http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/", "http://100.64.0.1/", "http://224.0.0.1/",
        "http://127.1/", "http://[::]/", "http://0.0.0.0/", "http://255.255.255.255/", "http://[fe80::1%25lo]/",
    ],
)  # fmt: skip
def test_nothing_of_a_private_network_is_fetched(url: str) -> None:
    with pytest.raises(ToolError, match=r"is not on the public internet|cannot be reached|is no address"):
        get(url, Bounds(seconds=2.0))


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://example.org/", "gopher://127.0.0.1:6379/_x", "http://user:pw@example.org/", "//x",
     "http://example.org:22/", "http:///x", "javascript:alert(1)", "http://exam ple.org/", "http://[::1", "", "http://a\nb/"],
)  # fmt: skip
def test_an_address_of_another_kind_is_refused_before_anything_is_asked(url: str) -> None:
    with pytest.raises(ToolError):
        checked(url, Bounds())


def test_a_redirect_into_a_private_network_is_not_followed(tmp_path: Path) -> None:
    with site({}) as secret, site({}) as here:
        targets = (
            "http://169.254.169.254/latest",
            secret.url("/token"),
            "file:///etc/passwd",
            "http://u:p@example.org/",
        )
        here.pages = {f"/{number}": redirect(target) for number, target in enumerate(targets)}
        for number in range(len(targets)):
            with pytest.raises(ToolError):
                fetcher(tmp_path, here).fetch(here.url(f"/{number}"))
        assert secret.asked == []
        with pytest.raises(ToolError, match="404"):  # the control: where it is allowed it is followed
            fetcher(tmp_path, here, secret).fetch(here.url("/1"))
        assert secret.asked == ["/token"]


def test_the_address_that_was_looked_at_is_the_one_that_is_asked() -> None:
    with site({"/": HTML}) as here:
        port, answers = int(here.place.partition(":")[2]), [["127.0.0.1"], ["192.168.0.1"]]
        seen: list[str] = []

        def rebinding(host: str, port: int) -> list[str]:
            seen.append(host)
            return answers.pop(0)

        bounds = Bounds(frozenset({f"name.example:{port}"}), 5.0, rebinding)
        assert get(f"http://name.example:{port}/", bounds).status == 200
        assert seen == ["name.example"], "one look-up for one connection"
        with pytest.raises(ToolError, match="not on the public internet"):
            get("http://name.example/", Bounds(resolve=lambda host, port: ["10.0.0.7"]))


def test_an_endless_page_is_cut_and_a_slow_one_given_up(tmp_path: Path) -> None:
    with site({"/big": endless, "/slow": drip}) as here:
        page = fetcher(tmp_path, here).fetch(here.url("/big"))
        assert page.cut and len(page.text) == 400_000
        began = time.monotonic()
        with pytest.raises(ToolError, match="took too long"):
            fetcher(tmp_path, here, seconds=1.0).fetch(here.url("/slow"))
        assert time.monotonic() - began < 30  # of the minute that it would take


TANGLED = b"<p " + b" ".join(b"a%d=1" % number for number in range(300_000)) + b">words"


def test_a_page_is_taken_apart_in_the_sandbox_and_given_up_where_that_takes_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three megabytes of attributes keep a parser busy for an hour."""
    read = partial(readable.markdown, Bubblewrap(), 400)
    title, text = read(PAGE.encode(), "", "http://x/")
    assert (title, text) == (markdown(PAGE.encode(), "", "http://x/").title, text) and "# Parsing dates" in text
    assert len(text) == 400 and read("Ünïcode \udc80".encode("utf-8", "replace"), "latin-1", "http://x/\udcff").text
    with pytest.raises(ToolError, match="too tangled"):
        read(TANGLED, "", "http://x/", msgspec.structs.replace(readable.LIMITS, seconds=2.0))


def test_redirects_end(tmp_path: Path) -> None:
    with site({"/round": redirect("/round")}) as here, pytest.raises(ToolError, match="without end"):
        fetcher(tmp_path, here).fetch(here.url("/round"))


def test_a_page_is_kept_for_a_day_and_says_its_age(tmp_path: Path) -> None:
    now = [1000.0]
    with site({"/": HTML}) as here:
        one = fetcher(tmp_path, here, now=now)
        first = one.fetch(here.url("/"))
        now[0] += 3600
        again = one.fetch(here.url("/"))
        assert (first.cached, again.cached, again.fetched) == (False, True, 1000.0)
        assert here.asked == ["/robots.txt", "/"]
        now[0] += 24 * 3600
        assert not one.fetch(here.url("/")).cached and here.asked.count("/") == 2


def test_what_was_kept_is_forgotten_when_it_counts_no_more(tmp_path: Path) -> None:
    with site({"/": HTML}) as here:
        fetcher(tmp_path, here).fetch(here.url("/"))
    kept = tmp_path / "web"
    forget(kept, time.time())
    assert len(list(kept.iterdir())) == 2
    forget(kept, time.time() + 3 * 24 * 3600)
    assert not list(kept.iterdir())
    forget(tmp_path / "none", 0.0)


def test_what_a_site_asks_of_robots_is_done(tmp_path: Path) -> None:
    with site(
        {"/robots.txt": ("text/plain", "User-agent: *\nDisallow: /private"), "/private/x": HTML, "/": HTML}
    ) as here:
        one = fetcher(tmp_path, here)
        with pytest.raises(ToolError, match=r"robots\.txt"):
            one.fetch(here.url("/private/x"))
        assert one.fetch(here.url("/")).text and here.asked == ["/robots.txt", "/"]


def test_robots_rules_as_the_rfc_has_them() -> None:
    everybody = "User-agent: *\nDisallow: /a\nAllow: /a/b\nDisallow: /*.pdf$"
    rules = everybody + "\n\nUser-agent: Pullwright\nDisallow: /ours%20only\n"
    assert permitted("", "http://x/") and permitted("nonsense", "http://x/a")
    assert not permitted(everybody, "http://x/a") and permitted(everybody, "http://x/a/b/c")
    assert not permitted(everybody, "http://x/d.pdf") and permitted(everybody, "http://x/d.pdf?q")
    assert permitted(rules, "http://x/a") and not permitted(rules, "http://x/ours%20only/y")
    assert not permitted("User-agent: *\nUser-agent: other\nDisallow: /", "http://x/")


@given(st.text("ab*$", max_size=8), st.text("ab", max_size=10))
def test_a_rule_fits_as_an_expression_would(rule: str, path: str) -> None:
    steps = map(re.escape, rule.removesuffix("$").split("*"))
    expression = "/" + ".*?".join(steps) + ("$" if rule.endswith("$") else "")
    told = permitted(f"User-agent: *\nDisallow: /{rule}", f"http://x/{path}")
    assert told == (re.match(expression, f"/{path}") is None)


def test_a_rule_of_many_stars_is_over_at_once() -> None:
    assert permitted("User-agent: *\nDisallow: /" + "*a" * 60 + "b", f"http://x/{'a' * 1900}")


@given(st.text(max_size=300), st.text(max_size=50))
def test_any_robots_file_gives_an_answer(text: str, path: str) -> None:
    assert permitted(text, f"http://x/{path}") in (True, False)


@given(st.one_of(st.binary(max_size=500), st.text('<>/adivpreulhb!-=" &;', max_size=300).map(str.encode)))
def test_any_bytes_become_some_text(data: bytes) -> None:
    assert isinstance(markdown(data, "", "http://x/").text, str)


def test_a_page_nested_ten_thousand_deep_does_no_harm() -> None:
    assert markdown(b"<div>" * 10_000 + b"deep", "", "http://x/") is not None


def test_a_host_is_asked_once_a_second_and_nobody_for_ever(tmp_path: Path) -> None:
    now, slept = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(tmp_path / "pace", lambda: now[0], sleep)
    for host in ("a", "b", "a"):
        pace.wait(host)
    assert slept == [1.0]
    for _ in range(MOST_REQUESTS - 3):
        pace.wait("a")
    with pytest.raises(ToolError, match="within an hour"):
        pace.wait("c")
    pace.wait("c", "another agent")
    now[0] += 3700
    pace.wait("c")


RUNNER = """
import sys
from pathlib import Path
from runner.web.pace import Pace

waited = []
pace = Pace(Path(sys.argv[1]), lambda: 1000.0, waited.append)
sys.stdin.readline()
for _ in range(25):
    pace.wait("docs.example", sys.argv[2])
print(*waited)
"""


def test_two_runners_of_a_machine_ask_a_host_as_often_as_one(tmp_path: Path) -> None:
    """For both the clock stands still, so that every request has to wait a second longer than the one before it."""
    folder = tmp_path / "pace"
    words = [(sys.executable, "-c", RUNNER, folder, agent) for agent in ("one", "two")]
    runners = [subprocess.Popen(each, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for each in words]
    for each in runners:
        print(file=each.stdin, flush=True)
    waited = [float(word) for each in runners for word in each.communicate(timeout=60)[0].split()]
    assert sorted(waited) == [float(number) for number in range(1, 50)]


def test_a_clock_that_was_set_back_and_a_damaged_file_make_nobody_wait(tmp_path: Path) -> None:
    now, slept = [50_000.0], list[float]()
    pace = Pace(tmp_path / "pace", lambda: now[0], slept.append)
    for _ in range(MOST_REQUESTS):
        pace.wait("a")
    now[0], slept[:] = 1000.0, []
    pace.wait("a")
    for file in (tmp_path / "pace").iterdir():
        file.write_text('[1, "')
    pace.wait("a")
    assert slept == []


def test_what_is_not_text_is_said(tmp_path: Path) -> None:
    with site({"/x": ("application/zip", "PK")}) as here, pytest.raises(ToolError, match="application/zip, not text"):
        fetcher(tmp_path, here).fetch(here.url("/x"))


def test_a_search_gives_title_address_and_snippet(tmp_path: Path) -> None:
    with search_service(tmp_path) as service:
        found = search("parse dates", "de-de", "w", proxy=service.proxy, verify=service.ca)
    assert [(hit.title, hit.address) for hit in found] == [("Dates in Python", "https://docs.example/dates")]
    assert "parse" in found[0].snippet
    assert service.asked[0].startswith("CONNECT html.duckduckgo.com:443")
    assert "q=parse+dates" in service.asked[1] and "l=de-de" in service.asked[1] and "df=w" in service.asked[1]


def test_a_search_that_cannot_be_reached_says_so(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="cannot be reached now"):
        search("dates", proxy="http://127.0.0.1:9")
    with search_service(tmp_path, "<html><body>nothing</body></html>") as service:
        assert search("dates", proxy=service.proxy, verify=service.ca) == ()
