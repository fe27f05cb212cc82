"""What others wrote, made fit to be shown: Markdown, tables, differences, files."""

import pytest
from page_parts import EVIL

from webhook.pages import frame, login, text
from webhook.pages.acts import bounds, said
from webhook.pages.difference import difference
from webhook.pages.files import shown
from webhook.pages.new import asked
from webhook.pages.sheet import MOST_COLUMNS, MOST_ROWS, sheet


def test_markdown_is_shown_with_its_headings_below_those_of_the_page() -> None:
    html = text.markdown("# One\n\n###### Six\n\n*a* `b` ~~c~~\n\n| x |\n| - |\n| 1 |\n")
    assert "<h3>One</h3>" in html
    assert "<h6>Six</h6>" in html
    assert "<em>a</em> <code>b</code> <s>c</s>" in html
    assert '<div class="scroll" tabindex="0"><table>' in html


def test_html_in_markdown_is_text() -> None:
    html = text.markdown(EVIL)
    for tag in ("<script", "<img", "<svg", "<iframe", "<base", "<style", "onerror=window.hacked=1>", "<!--"):
        assert tag not in html
    assert "&lt;script&gt;" in html
    assert "\x1b" not in html
    assert "\u202e" not in html


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd",
            "//evil.example", "/tasks/greet/approve", "java&#115;cript:x", "&#x6A;avascript:x", "http:evil",
            "\\x01https:x"],
)  # fmt: skip
def test_a_link_leads_to_the_web_or_to_a_mail_address_or_is_text(url: str) -> None:
    assert "<a" not in text.markdown(f"[x]({url})")
    assert "<a" not in text.markdown(f"![x]({url})")
    assert "<a" not in text.markdown(f"<{url}>")


@pytest.mark.parametrize("url", ["https://example.com/a", "http://example.com", "mailto:pat@example.com"])
def test_links_that_may_be_followed_tell_nobody_where_they_stood(url: str) -> None:
    assert f'<a href="{url}" rel="noopener noreferrer nofollow">' in text.markdown(f"[x]({url})")


def test_a_picture_elsewhere_is_named_and_not_loaded() -> None:
    html = text.markdown('![plot](https://evil.example/a.png?b="c)')
    assert "<img" not in html
    assert ">plot</a>" in html


def test_characters_that_steer_or_deceive_are_seen() -> None:
    assert (
        text.seen("a\x1b[31m\x07\u202e\u2066\ud800\r\n\tb\x85")
        == "a\\u001b[31m\\u0007\\u202e\\u2066\\ud800\n\tb\\u0085"
    )
    assert text.seen(7) == 7


@pytest.mark.parametrize("many", ["[", "*a **b ", "![[]()", "> ", "`a``b", "<a ", "&#", "- ", "[a](b "])
def test_no_text_is_too_much(many: str) -> None:
    assert len(text.markdown(many * (5_000_000 // len(many)))) < 10 * text.LONGEST


def test_what_is_too_long_is_cut_and_says_so() -> None:
    cut = text.fitted("x" * 5_000_000)
    assert len(cut) < text.LONGEST
    assert "cut here" in cut
    assert text.fitted("short") == "short"


def test_markdown_brings_no_style_and_every_script_its_direction() -> None:
    html = text.markdown("| a | b | c |\n| ---: | :---: | --- |\n| 1 | 2 | 3 |\n\n- واحد\n\n1. one\n")
    assert "style=" not in html
    assert '<th class="at-right">a</th>' in html and '<td class="at-center">2</td>' in html and "<td>3</td>" in html
    assert '<ul dir="auto">' in html and '<ol dir="auto">' in html


def test_csv_is_a_table_whatever_parts_its_columns() -> None:
    for comma in ",;\t":
        assert sheet(f"a{comma}b\n1{comma}2\n") == (("a", "b"), (("1", "2"),), False)
    assert sheet("no table") is None
    assert sheet("") is None
    assert sheet('a,b\n"' + "\0") is not None
    wide = sheet(("," * 99 + "\n") * 9999)
    assert wide is not None
    assert (len(wide.heads), len(wide.rows), wide.cut) == (MOST_COLUMNS, MOST_ROWS, True)


def test_a_difference_has_files_and_lines_with_their_numbers() -> None:
    told = (
        "diff --git a/x.py b/x.py\nindex 1..2 100644\n--- a/x.py\n+++ b/x.py\n@@ -3,2 +3,2 @@ def f():\n same\n"
        "--- old\n+++ new\n\\ No newline at end of file\ndiff --git a/y b/y\nnew file mode 100755\n@@ -0,0 +1 @@\n+z\n"
    )
    (x, y), cut = difference(told)
    assert (x.path, x.added, x.removed, cut) == ("x.py", 1, 1, False)
    assert [(line.kind, line.old, line.new, line.text) for line in x.lines] == [
        ("hunk", None, None, "@@ -3,2 +3,2 @@ def f():"), ("same", 3, 3, "same"), ("del", 4, None, "-- old"),
        ("add", None, 4, "++ new"), ("note", None, None, "\\ No newline at end of file"),
    ]  # fmt: skip
    assert [line.text for line in y.lines] == ["new file mode 100755", "@@ -0,0 +1 @@", "z"]
    assert difference("diff --git a/a b/a\n@@ -1 +1 @@\n" + "+x\n" * 9999)[1]


def test_a_file_is_what_its_content_is() -> None:
    assert shown("a.png", b"<svg onload=x>")["media"] == "application/octet-stream"
    assert shown("a.html", b"<script>")["media"] == "text/plain"
    assert shown("a.svg", b"<svg>")["media"] == "text/plain"
    assert shown("a.csv", b"a,b\n1,2\n")["sheet"].heads == ("a", "b")
    assert shown("a.txt", b"\x89PNG\r\n\x1a\n")["media"] == "image/png"


def test_a_visitor_is_led_to_our_own_pages_alone() -> None:
    assert login._inside("/tasks/greet") == "/tasks/greet"
    for evil in ("//evil.example", "/\\evil.example", "https://evil.example", "", "/a\nb", "javascript:x"):
        assert login._inside(evil) == "/"


def test_a_name_is_one_line_that_git_takes_as_a_name() -> None:
    assert frame.one_name("  Pat <pat@x>\n\x1b Öster  ") == "Pat patx Öster".replace("patx", "pat@x")
    assert frame.one_name("x" * 999) == "x" * 80
    assert [frame.one_name(name) for name in ("...", "' ;", "\\", ":)", "🙂")] == ["", "", "", ":)", "🙂"]


def test_forms_are_read_as_what_they_say_or_refused() -> None:
    assert bounds({"steps": "12", "cost": "0.5", "tokens": ""}) == {"steps": 12, "cost": 0.5}
    for wrong in ({}, {"steps": "many"}, {"steps": "-1"}, {"cost": "nan"}, {"minutes": "inf"}):
        with pytest.raises(ValueError, match=r"bound|number"):
            bounds(wrong)
    with pytest.raises(ValueError, match="words"):
        said("reject", {"text": ""})
    task = asked({"title": "A", "complexity": "3", "acceptance": "a\r\n\nb", "depends_on": "x y", "steps": "5"})
    assert (task.complexity, task.acceptance, task.depends_on) == (3, ["a", "b"], ["x", "y"])
    for wrong in ({"title": ""}, {"title": "A", "complexity": "11"}, {"title": "A", "stages": ["lunch"]}):
        with pytest.raises(ValueError, match=r".+"):
            asked(wrong)


def test_amounts_are_short() -> None:
    assert [frame.amount(n) for n in (7, 1234, 2_500_000)] == ["7", "1.2k", "2.5M"]
    assert [frame.span(n) for n in (None, 0, 59, 3700, 90_000)] == ["–", "0 s", "59 s", "1 h 1 min", "1 d 1 h"]
    assert [frame.money(n) for n in (0, 0.0123, 1.5)] == ["–", "$0.0123", "$1.50"]
