"""Mail over a real server: once or not at all, with TLS and a password, and later where the server is away."""

import socket
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mail_parts import mail_server

from runner.notify import MOST_EACH, MOST_FILES, Attachment, Delivery, Event, Letter, Server, bounded, named
from runner.notify.letters import SUBJECTS, Facts, html, plain, subject
from runner.notify.outbox import Outbox
from runner.notify.smtp import deliver, message

LETTER = Letter("greet.finished.1", ("pat@example.org",), "Done: Grüße", "All is well.\n", "<p>All is well.</p>")


def test_a_letter_arrives_with_both_its_forms_and_its_file(tmp_path: Path) -> None:
    pdf = Attachment("report.pdf", b"%PDF-1.7 ".ljust(5000, b"x"))
    with mail_server(tmp_path) as (box, server):
        assert deliver(server, msgspec.structs.replace(LETTER, attachments=(pdf,))) == Delivery("sent")
    [letter] = box.letters
    assert letter["Subject"] == "Done: Grüße" and letter["From"] == "Pullwright <bot@example.org>"
    assert letter["Message-ID"] == "<greet.finished.1@mail.pullwright.invalid>"
    assert letter["Auto-Submitted"] == "auto-generated"
    text, page = (letter.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None and page is not None and "All is well." in text.get_content()
    [file] = letter.iter_attachments()
    assert (file.get_filename(), file.get_content_type()) == ("report.pdf", "application/pdf")
    assert file.get_content() == pdf.data


def test_nothing_goes_out_without_tls_or_with_a_wrong_password_or_to_a_stranger(tmp_path: Path) -> None:
    with mail_server(tmp_path) as (box, server):
        for wrong in ({"password": "wrong"}, {"user": ""}, {"ca": ""}, {"security": "none"}, {"security": "tls"}):
            assert deliver(msgspec.structs.replace(server, **wrong), LETTER, seconds=2.0).outcome != "sent", wrong
        assert box.letters == []


def test_a_server_that_is_down_delays_and_nothing_is_sent_twice(tmp_path: Path) -> None:
    outbox, now = Outbox(tmp_path / "mail"), 1000.0
    with mail_server(tmp_path) as (_, gone):
        pass
    assert outbox.put(LETTER) and not outbox.put(LETTER)
    [said] = outbox.send(lambda letter: deliver(gone, letter), now)
    assert said.startswith("mail waits: localhost cannot be used now")
    assert outbox.send(lambda letter: deliver(gone, letter), now + 30) == (), "not before its time"
    with mail_server(tmp_path) as (box, server):
        box.answers = ["451 later, please"]
        assert outbox.send(lambda letter: deliver(server, letter), now + 60) == ()
        sent = outbox.send(lambda letter: deliver(server, letter), now + 200)
        assert sent == ("mail to pat@example.org: Done: Grüße",)
        assert outbox.send(lambda letter: deliver(server, letter), now + 9999) == ()
        assert not outbox.put(LETTER)
        assert len(box.letters) == 1


def test_a_server_that_is_silent_keeps_one_letter_waiting_and_not_each(tmp_path: Path) -> None:
    outbox, offered = Outbox(tmp_path / "mail"), list[str]()

    def offer(letter: Letter) -> Delivery:
        offered.append(letter.id)
        return deliver(server, letter, seconds=0.3)

    for number in range(3):
        outbox.put(msgspec.structs.replace(LETTER, id=f"greet.finished.{number}"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = Server("127.0.0.1", silent.getsockname()[1], "bot@example.org", security="none")
        [said] = outbox.send(offer, 1000.0)
        assert said.startswith("mail waits: 127.0.0.1 cannot be used now") and "timed out" in said
        assert len(offered) == 1
        outbox.send(offer, 1001.0)
        assert len(set(offered)) == 2, "the next one's turn comes"


def test_a_letter_whose_fate_is_unknown_is_not_sent_again(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "mail")
    outbox.put(LETTER)
    with mail_server(tmp_path) as (box, server):
        box.answers = ["drop"]
        [said] = outbox.send(lambda letter: deliver(server, letter), 0.0)
        assert "unsure" in said
        assert outbox.send(lambda letter: deliver(server, letter), 1e9) == () and len(box.letters) == 1


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"id": "x", "to": "pat", "subject": 1, "text": ""}', b'{"id": "../../x"}'],
)
def test_a_damaged_letter_is_set_aside_and_the_rest_is_sent(tmp_path: Path, damage: bytes) -> None:
    outbox, sent = Outbox(tmp_path / "mail"), list[str]()

    def delivers(letter: Letter) -> Delivery:
        sent.append(letter.id)
        return Delivery("sent")

    for id in ("a.finished.1", "b.finished.1", "c.finished.1"):
        outbox.put(msgspec.structs.replace(LETTER, id=id))
    (tmp_path / "mail/out/b.finished.1.json").write_bytes(damage)
    said = outbox.send(delivers, 0.0)
    assert sent == ["a.finished.1", "c.finished.1"]
    place = tmp_path / "mail/damaged/b.finished.1.json"
    assert said[1] == f"mail b.finished.1 cannot be read and is not sent: it lies in {place}" and place.exists()
    assert outbox.send(delivers, 1e9) == () and outbox.knows("b.finished.1"), "said once, and not written again"


def test_a_letter_is_sent_under_its_own_name_alone(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "mail")
    outbox.put(LETTER)
    file = tmp_path / f"mail/out/{LETTER.id}.json"
    file.write_bytes(file.read_bytes().replace(LETTER.id.encode(), b"../../elsewhere"))
    assert "cannot be read" in outbox.send(lambda _: Delivery("sent"), 0.0)[0]


def test_a_run_that_was_killed_while_sending_sends_nothing_twice(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "mail")
    outbox.put(LETTER)

    def killed(_: Letter) -> Delivery:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outbox.send(killed, 0.0)
    sent: list[str] = []

    def delivers(letter: Letter) -> Delivery:
        sent.append(letter.id)
        return Delivery("sent")

    [said] = outbox.send(delivers, 0.0)
    assert "may have arrived" in said and sent == [] and not outbox.put(LETTER)


def test_what_no_server_takes_is_kept_and_told(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "mail")
    outbox.put(LETTER)
    with mail_server(tmp_path) as (box, server):
        box.answers = ["554 no"]
        assert outbox.send(lambda letter: deliver(server, letter), 0.0) == ("mail greet.finished.1 is refused: 554 no",)
    assert (tmp_path / "mail" / "refused" / "greet.finished.1.json").exists()


def test_what_was_before_is_not_written_about(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "mail")
    assert outbox.is_new
    outbox.begin((LETTER.id,))
    assert not outbox.is_new and not outbox.put(LETTER) and outbox.count("greet.") == 1


ODD = (
    "a\nBcc: eve@example.org",
    "a\rb.txt",
    "\udcff.txt",
    "report\u202efdp.exe",
    'a"; x="b',
    "..\\..\\x.bat",
    "x" * 300,
)


@pytest.mark.parametrize("name", ODD)
def test_whatever_an_agent_calls_a_file_its_letter_can_be_sent(name: str) -> None:
    file = Attachment(named(name), b"x")
    letter = msgspec.json.decode(msgspec.json.encode(msgspec.structs.replace(LETTER, attachments=(file,))), type=Letter)
    made = message(letter, "bot@example.org")
    [part] = made.iter_attachments()
    assert made["Bcc"] is None and part.get_filename() == named(name) and len(named(name)) <= 120
    assert named("plots/Zahlen für 2026.png") == "plots/Zahlen für 2026.png"


@pytest.mark.parametrize("name", ODD[:3])
def test_the_control_as_it_was_called_it_cannot_be(name: str) -> None:
    with pytest.raises((ValueError, UnicodeError)):
        message(msgspec.structs.replace(LETTER, attachments=(Attachment(name, b"x"),)), "bot@example.org").as_bytes()


def test_attachments_are_bounded_and_what_is_left_out_is_named() -> None:
    small, large = Attachment("a", b"x"), Attachment("large", b"x" * (MOST_EACH + 1))
    assert bounded((large, small)) == ((small,), ("large",))
    assert len(bounded((small,) * 30)[0]) == MOST_FILES
    half = Attachment("half", b"x" * MOST_EACH)
    assert [len(part) for part in bounded((half, half, small))] == [2, 1]


@pytest.mark.parametrize("event", SUBJECTS)
def test_a_letter_says_the_same_in_both_forms_and_nothing_in_it_is_markup(event: Event) -> None:
    facts = Facts(event, "greet", "build", "<b>Say</b>\nhello", (("Agent", "gemma & co"),), "<script>x</script>\nmore",
                  ("pullwright review greet --approve",), ("big.bin",))  # fmt: skip
    assert "\n" not in subject(facts) and "<b>Say</b> hello" in subject(facts)
    text, page = plain(facts), html(facts)
    for words in ("gemma", "pullwright review greet --approve", "big.bin", "greet"):
        assert words in text and words in page
    assert "> <script>x</script>\n> more" in text and "<script>" not in page and "&lt;script&gt;" in page
    assert "src=" not in page and "href=" not in page


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_forges_a_header(title: str, words: str) -> None:
    facts = Facts("held", "greet", "build", title, (), words)
    made = message(msgspec.structs.replace(LETTER, subject=subject(facts), text=plain(facts)), "bot@example.org")
    assert made["To"] == "pat@example.org" and made["Bcc"] is None
    assert made.as_bytes()
