"""What every reader of alert senders must do, whichever files the folder holds."""

import importlib
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import sources
from bot.reading.post import Kind, Post
from bot.sources import Unreadable, read
from tools.records import Alert
from tools.registry import plugins

READERS = plugins(sources)
PAYLOADS = sorted((Path(__file__).parents[1] / "payloads").glob("*.json"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
TITLES = st.from_regex(r"\[(FIRING:\d|RESOLVED|FIRING)\] ?[A-Za-z()\[\] <>|*:/.\d]{0,60}", fullmatch=True)
WORDS = (
    JSON
    | TITLES
    | st.sampled_from(
        [
            "critical",
            "0001-01-01T00:00:00Z",
            "<http://x|y>",
            "\x00",
            "http://a/g?g0.expr=up",
            "check\x00out \ud800 down",
            "[FIRING:1] A\x00b \udfff",
        ]
    )
)
ATTACHMENT = st.dictionaries(
    st.sampled_from(["title", "title_link", "text", "fallback", "pretext", "color", "fields", "actions", "blocks"]),
    WORDS,
)
ENTRY = st.dictionaries(
    st.sampled_from(["status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"]),
    WORDS | st.dictionaries(st.sampled_from(["alertname", "service", "pod", "severity", "job"]), WORDS),
)
SLACK = st.fixed_dictionaries(
    {},
    optional={
        "text": WORDS,
        "subtype": WORDS,
        "ts": WORDS,
        "user": WORDS,
        "bot_id": WORDS,
        "bot_profile": WORDS,
        "username": WORDS,
        "attachments": st.lists(ATTACHMENT | JSON, max_size=3) | JSON,
        "blocks": WORDS,
    },
)
WEBHOOK = st.fixed_dictionaries(
    {"alerts": st.lists(ENTRY | JSON, max_size=3) | JSON},
    optional={"status": WORDS, "groupKey": WORDS, "truncatedAlerts": WORDS, "externalURL": WORDS},
)


def alerts_or_refusal(kind: str, payload: object) -> list[Alert]:
    """Read *payload*; a refusal is a sentence, and what is read can be stored and compared."""
    try:
        found = read(kind, payload, {"checkout", "payment"})
    except Unreadable as error:
        refusal = str(error)
    else:
        refusal = ""
    if refusal:
        assert len(refusal) > 10
        return []
    assert found
    for alert in found:
        assert alert.name
        assert len(alert.fingerprint) == 16
        assert alert.severity in ("info", "warning", "critical")
        stored = alert.model_dump_json()
        assert "\\u0000" not in stored
        stored.encode()
        assert Alert.model_validate_json(stored) == alert
        assert all(link.startswith(("http://", "https://")) for link in alert.links.values())
    return found


@pytest.mark.parametrize("name", READERS)
def test_has_the_shape_of_a_reader(name: str) -> None:
    reader = READERS[name]
    assert reader.__doc__
    assert reader.matches.__doc__
    assert reader.parse.__doc__


@pytest.mark.parametrize("name", READERS)
def test_matches_any_json_without_raising(name: str) -> None:
    @given(
        kind=st.sampled_from(["slack", "webhook"]),
        payload=st.one_of(SLACK, WEBHOOK, st.dictionaries(st.text(max_size=9), JSON)),
    )
    def check(kind: Kind, payload: dict[str, object]) -> None:
        assert READERS[name].matches(Post(kind, payload)) in (True, False)

    check()


def reader_and_kind(path: Path) -> tuple[str, Kind]:
    """A payload's file is called <reader>_<slack or webhook>_<what it shows>.json."""
    match = re.fullmatch(r"(?P<reader>.+?)_(?P<kind>slack|webhook)_.+", path.stem)
    assert match, f"{path.name} does not say which reader reads it"
    assert match["reader"] in READERS
    return match["reader"], match["kind"]  # type: ignore[return-value]


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_reads_its_payloads(path: Path) -> None:
    name, kind = reader_and_kind(path)
    sample = json.loads(path.read_text())
    alerts = read(kind, sample["body"], sample.get("known", ["payment"]))
    asked = next(one for one in sources.readers() if READERS[one].matches(Post(kind, sample["body"])))
    assert asked == name
    told = [
        alert.model_dump(mode="json", include=set(want)) for alert, want in zip(alerts, sample["alerts"], strict=True)
    ]
    assert told == sample["alerts"]
    assert read(kind, sample["body"], sample.get("known", ["payment"]), sender=name) == alerts


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_no_two_readers_claim_a_payload(path: Path) -> None:
    name, kind = reader_and_kind(path)
    post = Post(kind, json.loads(path.read_text())["body"])
    assert [one for one in READERS if one not in (name, "generic", "person") and READERS[one].matches(post)] == []


def test_every_reader_has_a_payload() -> None:
    assert {reader_and_kind(path)[0] for path in PAYLOADS} >= set(READERS) - {"generic", "person"}


@given(payload=st.one_of(SLACK, st.dictionaries(st.text(max_size=9), JSON), JSON))
def test_any_message_gives_alerts_or_a_refusal(payload: object) -> None:
    alerts_or_refusal("slack", payload)


@given(payload=st.one_of(WEBHOOK, st.dictionaries(st.text(max_size=9), JSON), JSON))
def test_any_webhook_body_gives_alerts_or_a_refusal(payload: object) -> None:
    alerts_or_refusal("webhook", payload)


@given(text=st.text(alphabet="<>|*_`: =-\n.http/[]FIRNGa", max_size=4000))
def test_text_made_to_confuse_patterns_is_read_in_time(text: str) -> None:
    """Hypothesis' deadline (200 ms an example) is the check: a pattern that backtracks takes minutes on 4,000 characters."""
    alerts_or_refusal("slack", {"text": text, "attachments": [{"title": text, "text": text, "fallback": text}]})


@pytest.mark.parametrize("unit", ["*", "<http://", " ", "\n", "_", ":a:", "(", "[FIRING] ", "a: ", "* ", "-\n", "<@"])
def test_repetition_is_read(unit: str) -> None:
    for text in (unit * 4000, "[FIRING:1] " + unit * 4000, "[FIRING:1] X\n" + unit * 4000 + "!"):
        alerts_or_refusal("slack", {"text": text, "attachments": [{"title": text, "text": text, "fallback": text}]})


def test_importing_a_reader_imports_no_other() -> None:
    for name in READERS:
        source = Path(importlib.import_module(f"bot.sources.{name}").__file__ or "").read_text()
        assert "bot.sources" not in source.replace("bot/sources", "")


@pytest.mark.parametrize("text", ["check\x00out is down", "half a pair \ud800", "[FIRING:1] A\x00b \udfff (c)"])
def test_what_no_database_can_hold_never_gets_in(text: str) -> None:
    attachment = {"title": text, "text": f"service: {text}", "fields": [{"title": "pod", "value": text}]}
    assert alerts_or_refusal("slack", {"text": text, "username": text, "attachments": [attachment]})
    labels = {"alertname": text, "service": text, text: text}
    assert alerts_or_refusal(
        "webhook", {"groupKey": text, "alerts": [{"labels": labels, "annotations": {"summary": text}}]}
    )
