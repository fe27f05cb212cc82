"""A letter given to a mail server, step by step, so that it is known whether the server has it."""

import re
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from mimetypes import guess_type

from runner.notify import Delivery, Letter, Server

SECONDS = 30.0  # that a server may keep us waiting


def deliver(server: Server, letter: Letter, seconds: float = SECONDS) -> Delivery:
    """Offer `letter` to `server`, which is given up where one answer takes so many seconds.

    Never raises for what a server or a network does.
    """
    try:
        session = _session(server, seconds)
    except (OSError, smtplib.SMTPException) as error:
        return Delivery("later", f"{server.host} cannot be used now: {_reason(error)}")
    try:
        return _offer(session, server, letter)
    finally:
        session.close()


def reach(server: Server, seconds: float = SECONDS) -> str:
    """Why no letter could be given to `server` now: it is asked for nothing but who it is. Empty where one could."""
    try:
        _session(server, seconds).close()
    except (OSError, smtplib.SMTPException) as error:
        return _reason(error)
    return ""


def _session(server: Server, seconds: float) -> smtplib.SMTP:
    context = ssl.create_default_context(cafile=server.ca or None)
    if server.security == "tls":
        session: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=seconds, context=context)
    else:
        session = smtplib.SMTP(server.host, server.port, timeout=seconds)
        if server.security == "starttls":
            session.starttls(context=context)  # raises where the server does not offer it: nothing goes in the clear
    session.ehlo_or_helo_if_needed()
    if server.user:
        session.login(server.user, server.password)
    return session


def _offer(session: smtplib.SMTP, server: Server, letter: Letter) -> Delivery:
    """RFC 5321: the server has the letter when it has answered the end of DATA with 250, and not before."""
    try:
        answer = session.mail(_address(server.sender))
        if answer[0] != 250:
            return _refusal(answer)
        answers = [session.rcpt(address) for address in letter.to]
        if not any(code in (250, 251) for code, _ in answers):
            return _refusal(answers[0])
    except (OSError, smtplib.SMTPException) as error:
        return Delivery("later", _reason(error))
    try:
        code, said = session.data(message(letter, server.sender).as_bytes())
    except smtplib.SMTPDataError as error:  # before a byte of the letter was sent
        return _refusal((error.smtp_code, error.smtp_error))
    except (OSError, smtplib.SMTPException) as error:
        return Delivery("unsure", _reason(error))
    return Delivery("sent") if code == 250 else _refusal((code, said))


def message(letter: Letter, sender: str) -> EmailMessage:
    """The letter in the form of RFC 5322. Its id names it for servers, which drop what they have seen."""
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"] = sender, ", ".join(letter.to)
    made["Subject"] = " ".join(letter.subject.split())[:200]
    made["Date"], made["Message-ID"] = formatdate(), f"<{letter.id}@mail.pullwright.invalid>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence answers it
    made.set_content(letter.text)
    if letter.html:
        made.add_alternative(letter.html, subtype="html")
    for file in letter.attachments:
        main, _, sub = (guess_type(file.name)[0] or "application/octet-stream").partition("/")
        made.add_attachment(file.data, maintype=main, subtype=sub, filename=file.name)
    return made


def _address(sender: str) -> str:
    found = re.search(r"<([^<>]+)>", sender)
    return found[1] if found else sender


def _refusal(answer: tuple[int, bytes | str]) -> Delivery:
    code, said = answer
    words = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return Delivery("refused" if 500 <= code < 600 else "later", f"{code} {' '.join(words.split())[:200]}")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
