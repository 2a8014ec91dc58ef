"""Redaction: secrets go, what an engineer compares stays; property tests: never raises, idempotent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.redact import is_secret_name, redact

# Put together at run time, so that no scanner takes this file for a leak.
SECRETS = {
    "jwt": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N",
    "slack": "xox" + "b-123456789012-abcdefABCDEF",
    "app": "xap" + "p-1-A0000000000-123456-abcdef",
    "aws": "AKIA" + "IOSFODNN7EXAMPLE",
    "github": "gh" + "p_" + "a1B2" * 9,
    "openai": "sk-" + "proj-" + "a1B2c3D4" * 4,
    "stripe": "sk_" + "live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "google": "AIza" + "SyA" + "b" * 32,
    "gitlab": "glpat" + "-" + "x" * 20,
}


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("around", ["{}", "token {} used", '"{}"', "k={}", "https://h/?x={}&y=1", "[{}]"])
def test_secrets_known_by_shape_go(name, around):
    assert SECRETS[name] not in redact(around.format(SECRETS[name]))


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("Authorization: Bearer abc.def-ghi_jkl", "abc.def-ghi_jkl"),
        ("curl -H 'Authorization: Basic dXNlcjpwYXNz'", "dXNlcjpwYXNz"),
        ("bearer abcdefghijklmnopqrst", "abcdefghijklmnopqrst"),
        ("postgres://app:hunter2@db:5432/x", "hunter2"),
        ("redis://:hunter2@cache:6379", "hunter2"),
        ("password=hunter2!", "hunter2!"),
        ('{"password": "hun\\"ter2"}', "ter2"),
        ("DB_PASSWORD: 'hunter2 and more'", "hunter2"),
        ("client_secret=abc123def", "abc123def"),
        ("api-key: abc123def", "abc123def"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI"),
        ("Cookie: session=abcdef; other=1", "abcdef"),
        ("Set-Cookie: id=abcdefgh", "abcdefgh"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "MIIEow"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEow cut off", "MIIEow"),
        ("https://hooks.slack.com/" + "services/T00/B00/XXXX", "XXXX"),
    ],
)
def test_secrets_known_by_their_name_go(text, gone):
    assert gone not in redact(text)
    assert "[redacted" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "image registry/checkout@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "commit 3f2b8c1e9d; pod checkout-5d9f8c7b6d-abcde; uid 3f2b8c1e-1111-2222-3333-444455556666",
        "password is required", "token expired", "password=", "max_tokens=100", "tokens: 12", "secret: null",
        "http://payment:8080/charge", "postgres://orders-db.shop:5432/orders", "user@host:22", "checkout:v2 -> checkout:v1",
        "DB_PASSWORD [secret sha256:abcdef12]", 'sum(rate(http_requests_total{code=~"5.."}[5m])) > 0.05',
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


def test_names():
    assert all(
        map(is_secret_name, ("DB_PASSWORD", "apiKey", "SLACK_TOKEN", "private_key", "DATABASE_DSN", "clientSecret"))
    )
    assert not any(map(is_secret_name, ("REPLICAS", "KEYBOARD", "PAYMENT_URL", "TOKENIZER_MODE", "LOG_LEVEL")))


PIECES = st.sampled_from(
    [*SECRETS.values(), "password=", "token: ", "'", '"', "Bearer ", "://a:", "@", "[redacted]", "\n", " ", "=", ":"]
)


@given(st.lists(PIECES | st.text(max_size=12), max_size=12).map("".join))
def test_redaction_never_raises_and_is_idempotent(text):
    once = redact(text)
    assert redact(once) == once


@given(st.text(max_size=40), st.sampled_from(sorted(SECRETS)), st.text(max_size=40))
def test_a_secret_never_survives_between_words(before, name, after):
    assert SECRETS[name] not in redact(f"{before} {SECRETS[name]} {after}")
