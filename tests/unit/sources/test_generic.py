"""Messages of senders that no reader knows, and of people."""

import pytest

from bot.sources import Unreadable, read


def test_a_bots_message_is_read_as_far_as_it_goes() -> None:
    message = {
        "subtype": "bot_message",
        "username": "Acme Watch",
        "text": "*Triggered: High latency on checkout* namespace: shop <http://dd/1|Open>",
        "ts": "1763920000.000100",
    }
    (alert,) = read("slack", message, {"checkout"})
    assert alert.sender == "Acme Watch"
    assert (alert.service, alert.namespace, alert.status) == ("checkout", "shop", "firing")
    assert alert.links == {"open": "http://dd/1"}
    assert alert.missing == ("severity", "query")


def test_a_person_is_named_as_the_sender() -> None:
    (alert,) = read("slack", {"user": "U1", "text": "payment seems down, critical"}, {"payment"})
    assert (alert.sender, alert.service, alert.severity) == ("person", "payment", "critical")


@pytest.mark.parametrize(
    "message",
    [
        {"text": "Resolved: disk full"},
        {"text": "OK: disk full"},
        {"attachments": [{"title": "disk full", "color": "#2eb886"}]},
    ],
)
def test_the_end_of_trouble_is_seen(message: dict[str, object]) -> None:
    (alert,) = read("slack", message)
    assert alert.status == "resolved"


def test_status_words_are_no_part_of_the_name() -> None:
    names = {
        read("slack", {"text": text})[0].name
        for text in ("Triggered: disk full", "Resolved - disk full", "[OK] disk full")
    }
    assert names == {"disk full"}


def test_numbers_do_not_make_another_alert() -> None:
    prints = {read("slack", {"text": f"Triggered: disk {n}% full"})[0].fingerprint for n in (91, 95.5)}
    assert len(prints) == 1


def test_text_in_blocks_is_found() -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "queue is full"}}]
    assert read("slack", {"blocks": blocks})[0].name == "queue is full"


@pytest.mark.parametrize(
    "message", [{}, {"text": " "}, {"text": "<@U1>"}, {"text": ":-)", "subtype": "channel_join"}, {"text": "***"}]
)
def test_no_news_is_refused_with_a_sentence(message: dict[str, object]) -> None:
    with pytest.raises(Unreadable, match=r"message"):
        read("slack", message)


@pytest.mark.parametrize(
    ("text", "name", "service", "started"),
    [
        ("checkout is slow since 10:00 <@U0TOCSIN>", "checkout is slow", "checkout", "2025-11-23T10:00:00+00:00"),
        (
            "@tocsin payments API has been down for 20 min",
            "payments API has been down",
            "payments",
            "2025-11-23T17:26:40.000100+00:00",
        ),
    ],
)
def test_a_person_says_what_is_wrong_and_since_when(text: str, name: str, service: str, started: str) -> None:
    (alert,) = read("slack", {"type": "message", "user": "U1", "ts": "1763920000.000100", "text": text})
    assert (alert.name, alert.service, alert.status, alert.sender) == (name, service, "firing", "person")
    assert alert.starts_at is not None
    assert alert.starts_at.isoformat() == started
    assert "severity" in alert.missing


@pytest.mark.parametrize(
    ("text", "service", "status"),
    [
        ("anyone else seeing errors on orders-api?", "orders-api", "firing"),
        ("since half an hour checkout doesn't respond", "checkout", "firing"),
        ("p99 of checkout went from 200ms to 3s at 11:05", "checkout", "firing"),
        ("kafka consumer lag for billing is 2M", "billing", "firing"),
        ("checkout looks fine again, resolved", "checkout", "resolved"),
        ("the site is really slow", "", "firing"),
    ],
)
def test_a_person_names_a_known_service_anywhere_in_a_sentence(text: str, service: str, status: str) -> None:
    known = ("checkout", "orders-api", "billing")
    (alert,) = read("slack", {"type": "message", "user": "U1", "ts": "1763920000.000100", "text": text}, known)
    assert (alert.service, alert.status) == (service, status)
    assert ("service" in alert.missing) == (not service)


def test_a_services_name_before_a_colon_is_no_label() -> None:
    (alert,) = read("slack", {"username": "bot", "text": "[CRITICAL] cart-service: latency p99 above 2s"})
    assert (alert.service, alert.severity, alert.status) == ("cart-service", "critical", "firing")
