"""Markdown → PDF, read back with another PDF library: what is said stands there, and nothing else happens."""

import os
import socket
import threading
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path

import pypdfium2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from runner.errors import ToolError
from runner.pdf import Document, Part, Pdf, fonts, render
from runner.pdf.blocks import MOST_BLOCKS, MOST_IMAGES, MOST_TEXT
from runner.pdf.code import broken
from runner.pdf.images import MOST_BYTES, MOST_PIXELS, below
from runner.pdf.tables import column_widths


def printed(*texts: str, **more: object) -> Pdf:
    return render(Document("A title", tuple(Part(text) for text in texts), **more))  # type: ignore[arg-type]


def pages(pdf: Pdf) -> list[str]:
    """The text of each page, its lines joined by spaces."""
    return [
        " ".join(page.get_textpage().get_text_range().replace("\ufffe", "").split())
        for page in pypdfium2.PdfDocument(pdf.data)
    ]


def text(pdf: Pdf) -> str:
    return " ".join(pages(pdf))


def outline(pdf: Pdf) -> list[tuple[str, int, int]]:
    """What a reader shows beside the pages: heading, level, page from 0."""
    marks = pypdfium2.PdfDocument(pdf.data).get_toc()
    return [(mark.get_title(), mark.level, mark.get_dest().get_index()) for mark in marks]


def levels(pdf: Pdf) -> list[int]:
    return [level for _, level, _ in outline(pdf)]


def colours(pdf: Pdf, page: int = 0) -> set[tuple[int, int, int]]:
    """Every colour on a page."""
    picture = pypdfium2.PdfDocument(pdf.data)[page].render(scale=1).to_pil().convert("RGB")
    return {colour for _, colour in picture.getcolors(1 << 24)}


def png(size: tuple[int, int] = (60, 40), colour: str = "#ff0080") -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


PINK = (255, 0, 128)


# --- what Markdown says ----------------------------------------------------------------------------------------------


def test_paragraphs_lists_tables_and_code_are_printed_with_all_their_words() -> None:
    shown = text(
        printed(
            "Some **bold** and *italic* words.\n\n- one\n  1. deep\n- two\n\n7. seven\n\n> said\n\n"
            "| Head | Sum |\n|:--|--:|\n| cell `a|b` | 12 |\n".replace("a|b", "a\\|b")
            + "\n```python\nif x < 1 and y > 2:\n    pass\n```\n\n    indented\n\n---\n\n~~gone~~"
        )
    )
    for words in ("Some bold and italic words.", "• one", "1. deep", "• two", "7. seven", "said", "Head Sum"):
        assert words in shown
    for words in ("cell a|b 12", "if x < 1 and y > 2:", "pass", "indented", "gone"):
        assert words in shown


def test_tags_and_entities_in_the_text_are_printed_as_they_stand() -> None:
    hostile = '<b>x</b> <img src="/etc/passwd"/> <onDraw name="a" label="b"/> &amp; </para> <font name="Nix">'
    pdf = printed(f"\\{hostile}\n\n`{hostile}`\n\n```\n{hostile}\n```\n\n| {hostile} |\n|-|\n| `{hostile}` |\n")
    assert text(pdf).count("<onDraw") == 5
    assert text(pdf).count("&amp;") == 3  # as code; in text Markdown itself reads it as &
    assert pdf.left_out == ()


def test_letters_far_from_english_are_printed() -> None:
    sample = "Grüße ČŽłş Привет Γειά ựệ → ≠ ∑ └── 中文 かな 한국어"
    assert sample in text(printed(sample))
    assert "✓ × a1 fi" in text(printed("✅ ❌ a① \ufb01".replace("\ufb01", "ﬁ")))


def test_a_character_that_no_font_has_is_a_box_and_one_that_steers_is_nothing() -> None:
    assert "ab□c" in text(printed("a\x1bb\U0001f4a1\u200bc\u202e\ud800\x00".replace("\x00", "")))


def test_every_style_of_a_font_has_what_the_font_is_said_to_have() -> None:
    assert list(fonts.runs("a→b", fonts.TEXT)) == [(fonts.TEXT, "a→b")]
    assert [name for name, _ in fonts.runs("a└b", fonts.TEXT)] == [fonts.TEXT, fonts.CODE, fonts.TEXT]


def test_only_links_to_the_web_and_to_mail_are_links() -> None:
    data = printed(
        "[a](https://example.org/?a=1&b=2) [b](mailto:a@example.org) [c](file:///etc/passwd) [d](javascript:x) "
        "[e](#h0) [f](document.pdf) [g](data:text/html,x) [h]()"
    ).data
    assert data.count(b"/URI (") == 2
    assert b"(https://example.org/?a=1&b=2)" in data
    assert b"passwd" not in data


def test_long_code_lines_are_broken_within_the_page() -> None:
    pdf = printed("```\n" + "x" * 500 + "\n```")
    assert text(pdf).replace(" ", "").count("x") >= 500
    assert [len(piece) for piece in broken("x" * 25, 10)] == [10, 10, 5]
    assert list(broken("中文中", 4)) == ["中文", "中"]


def test_columns_share_the_width_by_what_is_in_them() -> None:
    narrow, wide = column_widths([["No", "Remark"], ["1", "many words in one cell " * 9]], 400)
    assert narrow + wide == pytest.approx(400)
    assert 25 < narrow < 80
    assert column_widths([["", ""]], 100) == [50, 50]


# --- pages -----------------------------------------------------------------------------------------------------------


def test_pages_are_numbered_and_carry_the_title() -> None:
    shown = pages(printed(*["word " * 500] * 4, kicker="Report on x"))
    assert len(shown) >= 2
    for number, page in enumerate(shown, 1):
        assert f"{number} / {len(shown)}" in page
        assert "A title" in page
        assert "Report on x" in page


def test_contents_name_each_heading_with_its_page_and_the_outline_leads_there() -> None:
    pdf = printed("# One\n\n## Below & <b>\n\n" + "word " * 900, "# Two `code`\n\n### Unlisted\n\n## Skipped *to*")
    shown = pages(pdf)
    marks = outline(pdf)
    assert [title for title, _, _ in marks] == ["One", "Below & <b>", "Two code", "Skipped to"]
    assert [level for _, level, _ in marks] == [0, 1, 0, 1]
    for title, _, page in marks:
        assert title in shown[page]
        assert f"{title} {page + 1}" in shown[0]
    assert "Unlisted" not in shown[0]


def test_headings_that_skip_levels_make_an_outline_all_the_same() -> None:
    assert levels(printed("## A\n\n## A2\n\n# B\n\n## C\n\n###### D\n\n# E")) == [0, 0, 0, 1, 0]


def test_a_short_text_has_no_contents() -> None:
    assert "Contents" not in text(printed("# One\n\n# Two"))
    assert "Contents" not in text(printed("# 1\n\n# 2\n\n# 3\n\n# 4\n", contents=False))


def test_a_part_can_neither_close_nor_define_anything_for_the_next() -> None:
    pdf = printed("```\nnever closed\n\n[next]: https://evil.example/x", "# Next\n\n[next]")
    assert b"evil.example" not in printed("[next]: https://evil.example/x", "[next]").data
    assert "Next" in [title for title, _, _ in outline(pdf)]


def test_a_demoted_part_cannot_make_a_heading_of_the_first_level() -> None:
    hostile = "# Forged\n\nAlso forged\n==="
    assert levels(render(Document("T", (Part("# Own"), Part(hostile, demote=1))))) == [0, 1, 1]
    assert levels(render(Document("T", (Part("# Own"), Part(hostile))))) == [0, 0, 0]  # the control


def test_metadata_name_title_author_subject_and_keywords() -> None:
    pdf = render(
        Document(
            "Tïtle\n(x)", (Part("x"),), author="Ann", subject="Sub", keywords=("one", "two"), facts=(("A", "<b>"),)
        )
    )
    said = pypdfium2.PdfDocument(pdf.data).get_metadata_dict()
    assert (said["Title"], said["Author"], said["Subject"]) == ("Tïtle (x)", "Ann", "Sub")
    assert "two" in said["Keywords"] and said["Creator"] == "Pullwright"
    assert "A <b>" in text(pdf)


def test_an_empty_document_has_one_page() -> None:
    assert printed("").pages == 1


# --- images ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "one.png").write_bytes(png())
    return tmp_path


def illustrated(folder: Path, path: str) -> Pdf:
    return render(Document("T", (Part(f"before\n\n![The caption](<{path}>) beside", images=below(folder)),)))


def test_an_image_is_shown_with_its_caption(folder: Path) -> None:
    pdf = illustrated(folder, "plots/one.png")
    assert PINK in colours(pdf)
    assert "beside The caption" in text(pdf)
    assert pdf.left_out == ()


def test_a_large_image_is_made_to_fit_the_page(folder: Path) -> None:
    (folder / "tall.png").write_bytes(png((300, 5000)))
    pdf = illustrated(folder, "tall.png")
    assert PINK in colours(pdf) and pdf.pages <= 2


@pytest.mark.parametrize(
    "path",
    [
        "../one.png",
        "/etc/passwd",
        "plots/../../x",
        "http://127.0.0.1/x.png",
        "plots",
        "none.png",
        "",
        "a//b",
        "./a.png",
    ],
)
def test_an_image_elsewhere_is_not_shown_and_its_place_says_so(folder: Path, path: str) -> None:
    (folder.parent / "one.png").write_bytes(png())
    pdf = illustrated(folder, path)
    assert PINK not in colours(pdf)
    assert len(pdf.left_out) == 1
    assert "Not shown, the image" in text(pdf)


def test_no_link_is_followed_on_the_way_to_an_image(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.png").write_bytes(png())
    (folder / "link.png").symlink_to(outside / "secret.png")
    (folder / "way").symlink_to(outside)
    assert "links are not followed" in illustrated(folder, "link.png").left_out[0]
    assert "links are not followed" in illustrated(folder, "way/secret.png").left_out[0]
    os.link(outside / "secret.png", folder / "control.png")
    assert illustrated(folder, "control.png").left_out == ()


def test_what_is_no_regular_file_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    assert "not a regular file" in illustrated(folder, "pipe.png").left_out[0]


def test_no_more_than_forty_images_are_looked_at() -> None:
    asked: list[str] = []

    def image(path: str) -> bytes:
        asked.append(path)
        return png((2, 2))

    made = render(Document("T", (Part("![a](a.png) ![b](b.png)\n\n" * 60, images=image),)))
    assert len(asked) == MOST_IMAGES and len(made.left_out) == 1 and f"more than {MOST_IMAGES} images" in text(made)


def test_images_that_are_too_large_or_no_images_are_refused(folder: Path) -> None:
    with (folder / "bytes.png").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    (folder / "pixels.png").write_bytes(_bomb(MOST_PIXELS))
    (folder / "text.png").write_text("<svg/>")
    Image.new("RGB", (9, 9)).save(folder / "paint.bmp")  # a picture that could be read, by a decoder too many
    (folder / "cut.png").write_bytes(png((900, 900))[:-900])
    for name, why in [
        ("bytes.png", "bytes, more than"),
        ("pixels.png", "pixels, more than"),
        ("text.png", "no readable image"),
        ("paint.bmp", "no readable image"),
        ("cut.png", "no readable image"),
    ]:
        assert why in illustrated(folder, name).left_out[0]


def _bomb(pixels: int) -> bytes:
    """A file of a few hundred bytes that unpacks to more than so many pixels."""
    out = BytesIO()
    Image.new("1", (10_000, pixels // 10_000 + 1)).save(out, "PNG", optimize=True)
    return out.getvalue()


# --- hostile text ----------------------------------------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A port on loopback, and what was sent to it."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    heard.append(connection.recv(100))

        thread = threading.Thread(target=listen)
        thread.start()
        yield server.getsockname()[1], heard
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_nothing_is_fetched(listener: tuple[int, list[bytes]], folder: Path) -> None:
    port, heard = listener
    address = f"http://127.0.0.1:{port}/x.png"
    hostile = f'<img src="{address}"/> ![x]({address}) <a href="{address}">x</a>\n\n`<img src="{address}"/>`\n\n'
    render(
        Document(
            f'<img src="{address}"/>',
            (Part(f"# {hostile}{hostile}| {hostile.split(chr(10))[0]} |\n|-|\n", images=below(folder)),),
            kicker=f'<img src="{address}"/>',
            facts=((f'<img src="{address}"/>', f'<img src="{address}"/>'),),
        )
    )
    with socket.create_connection(("127.0.0.1", port)) as control:
        control.sendall(b"control")
    while not heard:
        pass
    assert heard == [b"control"]


HUGE = {
    "text": "word " * 90_000,
    "word": "x" * 300_000,
    "quotes": ">" * 3_000 + " x",
    "items": "- " * 5_000 + "x",
    "rows": "|a|b|\n|-|-|\n" + "|x|y|\n" * 20_000,
    "columns": "|" + "a|" * 300 + "\n|" + "-|" * 300 + "\n|" + "b|" * 300,
    "cell": "|a|b|\n|-|-|\n|" + "word " * 50_000 + "|x|",
    "head": "|" + "word " * 5_000 + "|\n|-|\n|x|",
    "code": "```\n" + "x = 1\n" * 50_000,
    "scripts": "中a" * 100_000,
    "rules": "---\n\n" * 50_000,
    "images": "![a](b)\n\n" * 2_000,
}


@cache
def huge(kind: str) -> Pdf:
    return printed(HUGE[kind])


@pytest.mark.parametrize("kind", HUGE)
def test_huge_input_ends_in_a_bounded_document(kind: str) -> None:
    pdf = huge(kind)
    assert 1 <= pdf.pages < 400
    assert len(pdf.data) < 3 << 20


def test_what_is_left_out_is_said() -> None:
    assert f"{MOST_TEXT:,}" in huge("text").left_out[0]
    assert f"{MOST_BLOCKS:,} blocks" in huge("rules").left_out[0]
    assert "rest of this text is left out" in text(huge("rules"))
    assert "19,500 rows left out" in text(huge("rows"))
    assert "lines left out" in text(huge("code"))


FRAGMENTS = ["# ", "- ", "1. ", "> ", "```\n", "|a|b|\n|-|-|\n", "|x", "**", "*", "`", "[a](", ")", "![", "\n", "\n\n"]
FRAGMENTS += [
    "<para>",
    "</b>",
    "&#0;",
    "&lt;",
    "\\",
    "\t",
    "    ",
    "中",
    "\U0001f600",
    "\ud800",
    "\x0c",
    "x" * 200,
    "---\n",
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=8), max_size=40).map("".join))
def test_any_text_has_a_pdf(markdown: str) -> None:
    pdf = render(Document(markdown, (Part(markdown),), kicker=markdown, facts=((markdown, markdown),)))
    assert pdf.data.startswith(b"%PDF-")
    assert pypdfium2.PdfDocument(pdf.data).get_page_size(0) == pytest.approx((595.28, 841.89), abs=0.01)


def test_without_images_none_is_looked_for() -> None:
    with pytest.raises(ToolError):
        Part("x").images("a.png")
