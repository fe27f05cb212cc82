"""An issue as a task: the form read strictly, hidden text removed, who may accept it and when that ends."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UserError
from runner.forge import Issue, Labelled, Person
from runner.lifecycle import Stage
from runner.people.issues import (
    AFTER,
    COMPLEXITY,
    HEADINGS,
    PRIORITY,
    STAGES_FIELD,
    TRUE_IN_THE_END,
    WANTED,
    Accept,
    Refuse,
    Withdraw,
    fingerprint,
    judge,
    read,
    written,
)
from runner.people.remarks import Said, Unknown, parse
from runner.task import Budget, TaskFile

MONA = Person("mona", 7, "write")
FILLED = {
    WANTED: "Login fails for a.b",
    TRUE_IN_THE_END: "- GET /login answers 200\n- [ ] the log stays empty",
    COMPLEXITY: "4",
    PRIORITY: "high",
    STAGES_FIELD: "test, build",
    AFTER: "#12, api-cleanup",
}


def form(**given: str) -> str:
    fields = FILLED | {name.replace("_", " "): text for name, text in given.items()}
    return "\n\n".join(f"### {name}\n\n{fields[name]}" for name in HEADINGS)


def issue(**given: object) -> Issue:
    plain = Issue(3, "Mend the login", form(), "http://127.0.0.1/3", True, Labelled("55", MONA, "2026-03-01T10:00:00Z"))
    return msgspec.structs.replace(plain, **given)


@pytest.mark.parametrize(
    "asked",
    [
        TaskFile("Mend it", "Login fails"),
        TaskFile("Mend it", "a\n\n## b", 4, 8, (Stage.BUILD, Stage.TEST), ("api", "issue-12"), ("one", "two")),
    ],
)
def test_a_request_that_is_written_as_an_issue_is_read_as_it_was(asked: TaskFile) -> None:
    assert read(asked.title, written(asked)) == asked


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"agent": "gemma"}, "agent"), ({"priority": 7}, "priority"), ({"budget": Budget(steps=1)}, "budget"),
        ({"description": "a <!-- b -->"}, "description"), ({"acceptance": ("- one",)}, "acceptance"),
        ({"tests_must_fail_before": False}, "tests_must_fail_before"), ({"description": "### After"}, "After"),
    ],
)  # fmt: skip
def test_what_the_form_cannot_say_is_not_written(more: dict[str, object], key: str) -> None:
    with pytest.raises(UserError, match=rf"this {key}|twice|{key}"):
        written(msgspec.structs.replace(TaskFile("Mend it", "Login fails"), **more))


# --- the form ------------------------------------------------------------------------------------------------------


def test_the_form_becomes_a_request() -> None:
    found = read("Mend the login", form())
    assert (found.title, found.description, found.complexity, found.priority) == (
        "Mend the login", "Login fails for a.b", 4, 8,
    )  # fmt: skip
    assert found.stages == (Stage.BUILD, Stage.TEST)
    assert found.acceptance == ("GET /login answers 200", "the log stays empty")
    assert found.depends_on == ("issue-12", "api-cleanup")


def test_windows_lines_and_untouched_fields_are_read_alike() -> None:
    untouched = dict.fromkeys((TRUE_IN_THE_END, STAGES_FIELD, AFTER), "_No response_")
    found = read("x", form(**untouched, **{COMPLEXITY: "not sure"}).replace("\n", "\r\n"))
    assert (found.complexity, found.acceptance, found.depends_on, len(found.stages)) == (None, (), (), 5)


def test_free_text_is_a_description() -> None:
    assert read("x", "Just do it.\n### Steps\nNone").description == "Just do it.\n### Steps\nNone"


@pytest.mark.parametrize(
    "text",
    [
        "Harmless.\n### Complexity\n\n10",
        "Harmless.\n```\n### Complexity\n\n10\n```",
        "Harmless.\n### Complexity\n\n10\n### Priority\n\nhigh\n### Stages\n\nbuild\n### After\n\nx\n```",
        "Harmless.\n## complexity ##\n",
        "Harmless.\n### Compl\u200bexity\n\n10",
        "Harmless.\n<!-- x -->### Complexity",
    ],
)
def test_a_faked_heading_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="stands twice"):
        read("x", form(**{WANTED: text}))


def test_a_comment_that_never_ends_cannot_swallow_the_form() -> None:
    with pytest.raises(UserError, match="not whole"):
        read("x", form(**{WANTED: "Harmless. <!--"}))


@pytest.mark.parametrize(
    ("field", "text"),
    [(COMPLEXITY, "11"), (PRIORITY, "now"), (STAGES_FIELD, "deploy"), (AFTER, "../x"), (WANTED, "_No response_")],
)
def test_a_field_with_something_else_is_refused(field: str, text: str) -> None:
    with pytest.raises(UserError):
        read("x", form(**{field: text}))


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_is_read_or_refused(title: str, body: str) -> None:
    try:
        read(title, body)
        read(title, form(**{WANTED: body}))
    except UserError:
        pass


# --- acceptance ----------------------------------------------------------------------------------------------------


def test_a_label_of_somebody_who_may_write_accepts() -> None:
    found = judge(issue(), None, False, frozenset())
    assert isinstance(found, Accept)
    assert (found.by, found.act, found.text) == ("mona (7)", "55", fingerprint(issue()))


@pytest.mark.parametrize(
    "who",
    [Person("rita", 8, "read"), Person("nobody", 9), Person("helper[bot]", 10, "admin", bot=True)],
)
def test_a_label_of_anybody_else_does_not(who: Person) -> None:
    found = judge(issue(labelled=Labelled("55", who, "2026-03-01T10:00:00Z")), None, False, frozenset())
    assert isinstance(found, Refuse) and who.name in found.why


@pytest.mark.parametrize("edited", ["2026-03-01T10:00:00Z", "2026-03-01T10:00:01Z"])
def test_what_was_edited_at_the_label_or_later_was_not_accepted(edited: str) -> None:
    assert isinstance(judge(issue(edited=edited), None, False, frozenset()), Refuse)
    assert isinstance(judge(issue(edited="2026-03-01T09:59:59Z"), None, False, frozenset()), Accept)


def test_an_edit_a_close_and_a_lost_label_withdraw() -> None:
    known = fingerprint(issue())
    assert judge(issue(), known, False, frozenset({"55"})) is None
    for change in ({"title": "Other"}, {"body": "Other"}, {"open": False}, {"labelled": None}):
        assert isinstance(judge(issue(**change), known, False, frozenset({"55"})), Withdraw)


def test_after_that_only_another_label_accepts() -> None:
    known = fingerprint(issue())
    assert judge(issue(body="Other"), known, True, frozenset({"55"})) is None
    again = issue(body="Other", labelled=Labelled("56", MONA, "2026-03-01T11:00:00Z"))
    assert isinstance(judge(again, known, True, frozenset({"55"})), Accept)


# --- what people say -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/pullwright pause", Said("pause", {})),
        ("Wait.\n\n/pullwright pause\r\n", Said("pause", {})),
        ("/pullwright assign sonnet", Said("assign", {"agent": "sonnet"})),
        ("/pullwright answer Use UTC.\nAlways.", Said("answer", {"text": "Use UTC.\nAlways."})),
        ("Please /pullwright pause", None),
        (" /pullwright pause", None),
        ("```\n/pullwright pause\n```", None),
        ("> /pullwright pause", None),
        ("<details>\n<summary>What he said</summary>\n\n/pullwright pause\n\n</details>", None),
        ("<details>\n\n/pullwright cancel\n</details>\n/pullwright pause", Said("pause", {})),
        ("~~~\n/pullwright pause", None),
        ("/pullwrights pause", None),
        ("Looks good.", None),
    ],
)
def test_a_command_is_a_line_of_its_own_outside_of_code_and_quotations(text: str, said: Said | None) -> None:
    assert parse(text) == said


@pytest.mark.parametrize("text", ["/pullwright", "/pullwright approve", "/pullwright assign", "/pullwright answer"])
def test_a_line_that_is_no_command_is_explained(text: str) -> None:
    assert isinstance(parse(text), Unknown)
