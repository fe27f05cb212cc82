"""A task's report: what the record says stands in it, and nobody's words can pass for ours."""

from io import BytesIO
from pathlib import Path

import msgspec
import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image

from runner import git
from runner.errors import UserError
from runner.host import Hub, Site
from runner.lifecycle import STAGES, Stage
from runner.pdf import Document, render
from runner.record import Entry, Gate, PastAttempt, Record, Request, Update, dump_record, dump_updates, update_id
from runner.report import completion, read_account, report_path, write_report
from runner.report.text import Account, Completed, compose, findings, markdown, moment, money, plain, row

CLAIM = "2157a700-1801-471f-85c8-f5bc04d8647f"
OURS = ["What was done", "What was asked", "How it went", "Evidence", "Findings of the review", "History"]
OURS += ["Design", "Test report", "Review in full"]
HOSTILE = "x | y\n\n# Evidence\n\n```\n| a |\n<b>&amp; ✓ passed"

REQUEST = Request(
    title="Login fails for names with a dot",
    body="`GET /login` answers **500**.",
    sha256="ab" * 32,
    accepted_by="Ann <ann@example.org>",
    source="tasks/fix-login.yaml",
    complexity=3,
    complexity_reason="the task names it",
    stages=STAGES,
    acceptance=("GET /login answers 200 for a.b",),
    depends_on=("api-cleanup",),
)
ENTRY = Entry(
    state="done",
    attempt=1,
    agent="gemma",
    model="gemma3:4b",
    claim=CLAIM,
    host="here/1",
    base="0" * 40,
    started="2026-11-23T03:16:24Z",
    finished="2026-11-23T04:18:30Z",
    gates=(Gate("checks", "pytest -q", 0, 1.25),),
    steps=1200,
    tokens=34567,
    cost=0.25,
)
DOCUMENTS = {
    "summary.md": "# Fixed\n\nDots are allowed now.\n\nResult: src/login.py\n",
    "design.md": "# Dots\n\n## Goal\n\nNames with dots.\n",
    "test-report.md": "Ran it.\n",
    "review.md": "# Review\n\n- [high] a `dot` at the end\n  fails — fixed: trimmed\n- [low] slow — answered: rarely\n",
}


def update(number: int, content: str, agent: str | None = None, actor: str | None = None) -> Update:
    return Update(update_id(CLAIM, number), "2026-11-23T03:17:00Z", agent, actor, "note", content)


def account(**more: object) -> Account:
    record = Record(1, REQUEST, dict.fromkeys(STAGES, ENTRY), result_path="src/login.py")
    told = Account(
        "fix-login", record, (update(0, "looks good", actor="Ann"),), DOCUMENTS, Completed("c0ffee" * 7, "2026-11-24")
    )
    return msgspec.structs.replace(told, **more)


def recorded(**more: object) -> Account:
    return account(record=msgspec.structs.replace(account().record, **more))


def said(document: Document) -> str:
    return " ".join(markdown(document).split())


def outline(document: Document) -> list[tuple[int, str]]:
    marks = pypdfium2.PdfDocument(render(document).data).get_toc()
    return [(mark.level, mark.get_title()) for mark in marks]


# --- what it says ----------------------------------------------------------------------------------------------------


def test_it_tells_what_was_asked_done_and_seen() -> None:
    text = said(compose(account()))
    for words in (
        "complete on 2026-11-24 00:00 UTC, commit c0ffeec0ffee",
        "| Result | src/login.py |",
        "| Evidence | 5 of 5 gates passed |",
        "| Asked by | Ann <ann@example.org>, in tasks/fix-login.yaml |",
        "6,000 steps, 172,835 tokens, $1.25, 5 h 10 min of work",
        "`GET /login` answers **500**.",
        "| 1. | GET /login answers 200 for a.b |",
        "It builds on api-cleanup.",
        "| design | gemma (gemma3:4b) | 2026-11-23 03:16 UTC | 1 h 2 min | 1,200 | 34,567 | $0.25 |",
        "| build | checks | pytest -q | ✓ passed, 1.2 s |",
        "| high | a `dot` at the end fails | fixed: trimmed |",
        "| low | slow | answered: rarely |",
        "| 2026-11-23 03:17 UTC | Ann | looks good |",
        "Dots are allowed now.",
    ):
        assert words in text


def test_the_first_page_says_what_was_done_and_names_the_result_as_it_is() -> None:
    told = account(documents={"summary.md": "# Summary\n\nDots work.\n\nResult: src/__main__.py\n"})
    first = pypdfium2.PdfDocument(render(compose(told)).data)[0].get_textpage().get_text_range()
    assert "Contents" in first and "Dots work." in first and "Result: src/__main__.py" in first
    assert "`src/__main__.py`" in said(compose(told))


def test_the_sections_and_the_agents_documents_stand_in_the_outline() -> None:
    shown = outline(compose(account()))
    assert [title for level, title in shown if level == 0] == OURS


def test_a_gate_that_failed_or_did_not_end_is_not_called_passed() -> None:
    gates = (Gate("checks", "pytest", 1, 0), Gate("slow", "sleep", None, 60.0))
    document = compose(recorded(stages={Stage.BUILD: msgspec.structs.replace(ENTRY, gates=gates)}))
    assert dict(document.facts)["Evidence"] == "0 of 2 gates passed"
    assert "| × exit 1 |" in said(document) and "| × did not end, 60.0 s |" in said(document)


def test_earlier_attempts_cost_too_and_their_gates_prove_nothing() -> None:
    first = msgspec.structs.replace(ENTRY, state="closed", agent="tiny")
    second = msgspec.structs.replace(ENTRY, attempt=2)
    document = compose(recorded(stages={Stage.BUILD: second}, attempts=(PastAttempt(Stage.BUILD, first),)))
    assert "build, attempt 2" in said(document)
    assert dict(document.facts)["Worked on by"] == "tiny (gemma3:4b), gemma (gemma3:4b)"
    assert dict(document.facts)["Effort"].startswith("2,400 steps")
    assert dict(document.facts)["Evidence"] == "1 of 1 gates passed"


def test_a_task_on_its_way_has_a_report_too() -> None:
    working = msgspec.structs.replace(ENTRY, state="working", finished=None, gates=())
    told = recorded(stages={Stage.DESIGN: ENTRY, Stage.BUILD: working}, result_path=None, skipped=(Stage.TEST,))
    document = compose(msgspec.structs.replace(told, documents={}, updates=(), completed=None))
    assert dict(document.facts)["Outcome"] == "not complete: 1 of 5 stages are done"
    assert "There is no summary yet." in said(document)
    assert "| build | gemma (gemma3:4b) | 2026-11-23 03:16 UTC | working |" in said(document)
    assert "Passed over by a person: test." in said(document)


def test_the_middle_of_a_long_history_is_left_out() -> None:
    text = said(compose(account(updates=tuple(update(number, f"update {number}.") for number in range(500)))))
    assert "update 0." in text and "update 499." in text and "update 250." not in text
    assert "300 entries are left out here" in text


@pytest.mark.parametrize(
    ("review", "found"),
    [
        ("No findings.", []),
        ("- [medium] a — fixed: b\n\ntext", [("medium", "a", "fixed: b")]),
        ("* **[low]** a-b c; answered: no\n# Next\nfixed", [("low", "a-b c", "answered: no")]),
        ("- [high] open one\n- no severity", [("high", "open one", "")]),
    ],
)
def test_findings_are_read_with_their_answers(review: str, found: list[tuple[str, str, str]]) -> None:
    assert list(findings(review)) == found


def test_times_sums_and_lengths_are_written_as_people_read_them() -> None:
    assert moment("2026-11-23T03:16:24Z") == "2026-11-23 03:16 UTC"
    assert moment("soon\n") == "soon"
    assert [money(0), money(0.0042), money(12.5)] == ["$0.00", "$0.0042", "$12.50"]


# --- whose words they are --------------------------------------------------------------------------------------------


def test_no_words_of_others_become_a_section_of_ours() -> None:
    entry = msgspec.structs.replace(
        ENTRY, agent=HOSTILE, model=HOSTILE, started=HOSTILE, gates=(Gate(HOSTILE, HOSTILE, 0, 0),)
    )
    request = msgspec.structs.replace(
        REQUEST, title=HOSTILE, body=HOSTILE, accepted_by=HOSTILE, acceptance=(HOSTILE,), depends_on=(HOSTILE,)
    )
    told = account(
        record=Record(1, request, {Stage.BUILD: entry}, result_path=HOSTILE),
        updates=(update(0, HOSTILE, agent=HOSTILE), update(1, HOSTILE, actor=HOSTILE)),
        documents=dict.fromkeys(DOCUMENTS, HOSTILE) | {"review.md": f"- [high] {HOSTILE} — fixed: {HOSTILE}"},
    )
    assert [title for level, title in outline(compose(told)) if level == 0] == OURS
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown(compose(told)))
    ours = [
        tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open" and not token.level
    ]
    assert ours[1:] == OURS


def test_an_open_fence_in_a_document_does_not_hide_what_follows() -> None:
    told = account(documents=DOCUMENTS | {"summary.md": "```\nnever closed"})
    assert [title for level, title in outline(compose(told)) if level == 0] == OURS


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40))
def test_whatever_a_cell_holds_the_table_keeps_its_shape(text: str) -> None:
    table = "\n".join([row("a", "b"), "|-|-|", row(text, "next"), row("last", "cell")])
    tokens = MarkdownIt("commonmark").enable("table").parse(table)
    cells = [token.content for token in tokens if token.type == "inline"]
    assert len(cells) == 6 and cells[3:] == ["next", "last", "cell"]


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("*_`[]()<>#-+|~!&;\\:/ab1. \n"), max_size=30))
def test_plain_words_are_read_by_markdown_as_they_stand(text: str) -> None:
    (paragraph,) = [token for token in MarkdownIt("commonmark").parse("x " + plain(text)) if token.type == "inline"]
    assert "".join(child.content for child in paragraph.children or []) == ("x " + " ".join(text.split())).strip()


# --- from Git to the file --------------------------------------------------------------------------------------------


def png() -> bytes:
    out = BytesIO()
    Image.new("RGB", (60, 40), "#ff0080").save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    repo = git.init_bare(tmp_path / "state" / "repo.git")
    return Site("here/1", tmp_path / "state", repo, Hub(str(repo.git_dir), None), tmp_path)


def kept_at(site: Site, **more: bytes) -> str:
    """A commit whose tree holds the task's record folder, and `more` files in it."""
    told = account()
    files: dict[str, bytes | None] = {
        "tasks/team/fix-login/record.yaml": dump_record(told.record),
        "tasks/team/fix-login/updates.jsonl": dump_updates(told.updates),
    }
    files |= {f"tasks/team/fix-login/{name}": text.encode() for name, text in DOCUMENTS.items()}
    files |= {f"tasks/team/fix-login/{name}": content for name, content in more.items()}
    tree = git.tree_with(site.repo, None, files)
    return git.commit(site.repo, tree, (), "all of it", when="2026-11-24T00:00:00Z")


def text_of(path: Path) -> str:
    return " ".join(
        " ".join(page.get_textpage().get_text_range().split()) for page in pypdfium2.PdfDocument(path.read_bytes())
    )


def test_the_report_is_written_from_one_commit(site: Site) -> None:
    head = kept_at(site)
    path = write_report(site, "fix-login", head, completion(site.repo, "fix-login", head))
    assert path == report_path(site.state, "fix-login") == site.state / "reports" / "fix-login.pdf"
    assert f"complete on 2026-11-24 00:00 UTC, commit {head[:12]}" in text_of(path)
    assert "Dots are allowed now." in text_of(path)
    assert write_report(site, "fix-login", head) == path
    assert "not complete" in text_of(path)
    assert [one.name for one in path.parent.iterdir()] == ["fix-login.pdf"]


def test_a_task_without_a_record_has_no_report(site: Site) -> None:
    head = git.commit(site.repo, git.tree_with(site.repo, None, {"a": b""}), (), "empty")
    with pytest.raises(UserError, match="no record yet"):
        write_report(site, "fix-login", head)


def test_images_of_the_tasks_folder_are_shown_and_links_are_not(site: Site) -> None:
    more = {"summary.md": b"![plot](output/plot.png)\n\n![link](output/link.png)", "output/plot.png": png()}
    head = kept_at(site, **more)
    blob = git.git(site.repo, "hash-object", "-w", "--stdin", stdin=b"plot.png")
    tree = git.tree_from(
        site.repo, git.tree_of(site.repo, head), [f"120000 {blob}\ttasks/team/fix-login/output/link.png"]
    )
    read = read_account(site.repo, "fix-login", git.commit(site.repo, tree, (head,), "a link"))
    assert read.images("output/plot.png") == png()
    pdf = render(compose(read))
    assert pdf.left_out == ("the image output/link.png: there is no such file in the task's folder",)
    picture = pypdfium2.PdfDocument(pdf.data)[0].render(scale=1).to_pil().convert("RGB")
    assert (255, 0, 128) in {colour for _, colour in picture.getcolors(1 << 24)}


def test_a_document_that_is_a_link_or_no_text_does_no_harm(site: Site) -> None:
    head = kept_at(site, **{"summary.md": b"\xff\xfe \x00 words"})
    blob = git.git(site.repo, "hash-object", "-w", "--stdin", stdin=b"/etc/passwd")
    tree = git.tree_from(site.repo, git.tree_of(site.repo, head), [f"120000 {blob}\ttasks/team/fix-login/design.md"])
    path = write_report(site, "fix-login", git.commit(site.repo, tree, (head,), "a link"))
    assert "words" in text_of(path) and "passwd" not in text_of(path)
