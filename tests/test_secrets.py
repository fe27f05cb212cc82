"""Secrets are taken out of texts in whatever spelling, and a file that brings one is named."""

import base64
import binascii
import html
import json
import shlex
import subprocess
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner.secrets import MARK, SHORTEST, Redactor, known_values, new_secret

CANARY = "kA9+/x?Q&w\"7'zé-canary=%41"
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda value: f"before {value} after",
    "JSON": lambda value: json.dumps({"key": value}),
    "percent": lambda value: quote(value, safe=""),
    "a form": quote_plus,
    "HTML": html.escape,
    "repr": repr,
    "reversed": lambda value: value[::-1],
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 after one": lambda value: base64.b64encode(b"x" + value.encode() + b"y").decode(),
    "base64 after two": lambda value: base64.b64encode(b"xy" + value.encode() + b"yz").decode(),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(value.encode()).decode().rstrip("="),
    "base64 in lines": lambda value: base64.encodebytes(value.encode() * 4).decode(),
    "base32": lambda value: base64.b32encode(value.encode()).decode(),
    "hexadecimal": lambda value: value.encode().hex(),
    "HEXADECIMAL": lambda value: value.encode().hex().upper(),
    "with colons": lambda value: value.encode().hex(":"),
    "as C": lambda value: "".join(f"\\x{byte:02x}" for byte in value.encode()),
    "as od": lambda value: value.encode().hex(" ").replace(" ", "  "),
    "as an array": lambda value: ", ".join(f"0x{byte:02x}" for byte in value.encode()),
    "quoted-printable": lambda value: binascii.hexlify(value.encode(), "-").decode(),
}


@pytest.mark.parametrize("how", SPELLINGS)
@pytest.mark.parametrize("value", [CANARY, "plainvalue12", "pa ss word!!"])
def test_a_known_value_goes_in_every_spelling(how: str, value: str) -> None:
    text = SPELLINGS[how](value)
    assert MARK in Redactor([value]).clean(text), text
    assert Redactor(["something else"]).clean(text) == text, "the control: another value leaves it"


def test_what_xxd_prints_does_not_get_through() -> None:
    done = subprocess.run(["python3", "-c", "import sys; d=sys.stdin.buffer.read(); print(d.hex(' ', 2))"],
                          input=CANARY.encode(), capture_output=True, check=True)  # fmt: skip
    assert MARK in Redactor([CANARY]).clean(done.stdout.decode())


JWT = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9" + ".eyJpc3MiOiIxMjM0NTYiLCJleHAiOjE3fQ" + "." + "s-_A1" * 40
SHAPED = {
    "classic": "ghp_" + "aB3d" * 9,
    "installation": "ghs_" + "aB3d" * 9,
    "installation since 2026": f"ghs_1234567_{JWT}",
    "fine-grained": "github_pat_" + "11ABC_" * 10,
    "OpenRouter": "sk-or-v1-" + "0af9" * 16,
    "provider": "sk-" + "aB3d" * 12,
    "AWS": "AKIA" + "ABCD2345" * 2,
    "Slack": "xoxb-" + "123456789012-" * 2 + "abc",
    "JWT": JWT,
    "key": "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEow" * 20 + "\n-----END RSA PRIVATE KEY-----",
    "key in JSON": "-----BEGIN OPENSSH PRIVATE KEY-----\\n" + "b3Blbn" * 20 + "\\n-----END OPENSSH PRIVATE KEY-----",
    "address": "https://x-access-token:hunter2hunter2@git.example.com/a.git",
    "header": "AUTHORIZATION: basic " + "eHg6eXk9" * 4,
}


@pytest.mark.parametrize("shape", SHAPED)
def test_what_looks_like_a_token_goes_whole(shape: str) -> None:
    clean = Redactor().clean(f"x={SHAPED[shape]} and more")
    assert MARK in clean and clean.endswith(" and more")
    assert "s-_A1" not in clean and "hunter2" not in clean and "MIIEow" not in clean


def test_a_short_word_is_no_secret() -> None:
    assert Redactor(["assistant", "", "abc"]).clean("the assistant abc") == "the assistant abc"


def test_ordinary_text_stays() -> None:
    text = (
        "ghs_ tokens begin with ghs_; see https://example.com:8080/a@b and user@example.com. sk-learn, AKIA, "
        "The risk-assessment-and-mitigation-plan-for-the-next-release; eyJ; d41d8cd98f00b204e9800998ecf8427e "
        "git@github.com:a/b.git 3f786850e387550fdab836ed7e6dc881de23001b -----BEGIN PUBLIC KEY-----"
    )
    assert Redactor().clean(text) == text


def test_the_mark_leaves_yaml_and_json_readable() -> None:
    value = "s3cretvalue"
    for text in (f"a: {value}\nb: [{value}, 1]\n", json.dumps({"a": [value]})):
        assert value not in str(yaml.safe_load(Redactor([value]).clean(text)))
        assert MARK in str(yaml.safe_load(Redactor([value]).clean(text)))
    assert shlex.split(f"echo '{MARK}'")


@given(st.text(max_size=200), st.text(min_size=SHORTEST, max_size=30).filter(lambda value: not value.islower()))
def test_no_text_is_too_odd_and_cleaning_twice_is_cleaning_once(text: str, value: str) -> None:
    redactor = Redactor([value])
    once = redactor.clean(text + value + text)
    assert MARK in once
    assert value in MARK or value not in once or value[::-1] == value
    assert redactor.clean(once) == once or value in MARK


@given(st.binary(max_size=300))
def test_bytes_without_a_secret_stay_as_they_are(data: bytes) -> None:
    assert Redactor(["neverthere"]).clean_bytes(data) == data


def test_every_text_of_a_value_is_cleaned() -> None:
    value = {"a": ["s3cretvalue", 1, None, {"s3cretvalue": True}]}
    clean = Redactor(["s3cretvalue"]).clean_all(value)
    assert clean == {"a": [MARK, 1, None, {MARK: True}]}
    assert msgspec.json.encode(clean)


def test_a_long_text_takes_no_long_time() -> None:
    redactor = Redactor([CANARY, *(f"secret-number-{number}" for number in range(10))])
    for text in (
        "a" * 200_000,
        "ab:" * 70_000,
        "-----BEGIN PRIVATE KEY-----" * 7_000,
        "eyJ" * 70_000,
        "://a:" * 40_000,
    ):
        assert redactor.clean(text) == text


def test_the_environment_says_what_is_secret() -> None:
    environment = {
        "OPENROUTER_API_KEY": "sk-or-value", "GH_TOKEN": "tokenvalue", "MAILPW": "mailpassword", "PATH": "/usr/bin",
        "SSH_AUTH_SOCK": "/run/agent.sock", "HTTPS_PROXY": "http://me:pro%40xypass@proxy:3128", "DB_PASSWORD": "short",
        "SECRETS_DIR": "/etc/secrets-of-mine",
    }  # fmt: skip
    found = known_values(environment, ["env:MAILPW"], ["https://x:hubpassword@git.example.com/a"])
    assert set(found) == {"sk-or-value", "tokenvalue", "mailpassword", "pro%40xypass", "pro@xypass", "hubpassword"}


def test_a_file_that_brings_a_secret_is_named_and_the_secret_is_not() -> None:
    redactor = Redactor(["canaryvalue"])
    why = new_secret(redactor, "src/config.py", b"", b"KEY = 'canaryvalue'\n")
    assert why == "src/config.py holds a secret of this host"
    assert new_secret(redactor, "a.txt", b"canaryvalue", b"more and canaryvalue") is None, "it was there before"
    assert new_secret(redactor, "a.txt", b"", SHAPED["classic"].encode()) == "a.txt holds a GitHub token"
    assert new_secret(redactor, "a.txt", b"", "canaryvalue".encode("utf-16")) is not None
    assert new_secret(redactor, "canaryvalue.txt", b"", b"") == f"the name of {MARK}.txt holds a secret"
    assert new_secret(redactor, "a.txt", b"", b"nothing") is None
