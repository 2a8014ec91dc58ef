"""Kafka beside Slack and webhooks: alerts in from a topic, every event of an incident out to a topic. bot/service.py runs it.

Alerts go through the same inbox: a record is committed to Kafka after it is in Postgres, and its place (topic, partition,
offset, time) is its id there, so a redelivered one has no second effect. Events are read from the record by their number,
sent in order per incident, and the number reached is kept after the brokers confirmed; a crash in between sends them again with
the same number.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import structlog

from bot.settings import Settings
from bot.sources import senders
from bot.web import Part
from tools import kafka
from tools.errors import Permanent, Temporary
from tools.kafka import Brokers, Kept, Publish, Sent
from tools.records import TimelineEntry
from tools.store import cursors, events
from tools.store.db import Database

log = structlog.get_logger()
CURSOR = "kafka"
LOOK_EVERY_S = 0.5
PAGE = 200  # events of one transaction
PAUSE_S = 5.0  # after Kafka was away or turned us away
MAX_IN = 1_000_000  # bytes of one record, as of a webhook
MAX_OUT = 900_000  # below the brokers' usual million
Receive = Callable[[str, str, Mapping[str, Any]], Awaitable[bool]]


class Stream:
    """The two directions, each on when its topic is named; `run` goes on until cancelled."""

    def __init__(
        self,
        settings: Settings,
        receive: Receive,
        db: Database,
        *,
        pause_s: float = PAUSE_S,
        confirm_s: float = kafka.CONFIRM_S,
    ) -> None:
        self._brokers = brokers_of(settings)
        self._alerts, self._events = settings.kafka_alerts_topic, settings.kafka_events_topic
        self._group = settings.kafka_group
        self._receive = receive
        self._db = db
        self._pause_s, self._confirm_s = pause_s, confirm_s
        self._problems: dict[str, str] = {}

    @property
    def on(self) -> bool:
        """Whether anything is to be read or sent."""
        return bool(self._brokers.servers and (self._alerts or self._events))

    def part(self) -> Part:
        """Say for /readyz whether Kafka works; nothing else waits for it."""
        return Part(not self._problems, "; ".join(self._problems.values()))

    async def run(self) -> None:
        """Read and send until cancelled; a broker that is away is waited for."""
        async with asyncio.TaskGroup() as both:
            if self._alerts:
                both.create_task(self._kept_up("alerts", self._read))
            if self._events:
                both.create_task(self._kept_up("events", self._send))

    async def _kept_up(self, what: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await work()
            except (Temporary, Permanent) as error:
                self._problems[what] = f"Kafka {what}: {error}"
                log.warning("kafka.away", what=what, error=str(error), again_in_s=self._pause_s)
            await asyncio.sleep(self._pause_s)

    async def _read(self) -> None:
        await kafka.consume(self._brokers, self._alerts, self._group, self._take, self._noticed)

    def _noticed(self, problem: str) -> None:
        if problem:
            self._problems["alerts"] = f"Kafka alerts: {problem}"
        else:
            self._problems.pop("alerts", None)

    async def _take(self, records: Sequence[Kept]) -> None:
        await asyncio.gather(*(self._receive(*event_of(record)) for record in records))
        self._noticed("")

    async def _send(self) -> None:
        async with kafka.publisher(self._brokers, self._events, self._confirm_s) as publish:
            while True:
                sent = await send_next(self._db, publish)
                self._problems.pop("events", None)
                if sent < PAGE:
                    await asyncio.sleep(LOOK_EVERY_S)


def brokers_of(settings: Settings) -> Brokers:
    """Return where Kafka is, as *settings* have it."""
    return Brokers(
        settings.kafka_servers,
        settings.kafka_protocol,
        settings.kafka_mechanism,
        settings.kafka_user,
        settings.kafka_password.get_secret_value(),
        settings.kafka_ca_file,
    )


def event_of(record: Kept) -> tuple[str, str, dict[str, Any]]:
    """Return a record as an event of the inbox: id, kind, payload.

    The header "sender" names the reader, as the path of a webhook does. What is no JSON object is kept as text, and the
    inbox says later that nobody could read it.
    """
    sender = record.headers.get("sender", "").lower()
    event_id = f"{sender if sender in senders() else 'generic'}:{record.place}"
    text = record.value[:MAX_IN].decode("utf-8", "replace")
    try:
        payload = json.loads(text, parse_constant=_no_such_number)
    except (ValueError, RecursionError):
        payload = None
    if isinstance(payload, list) and payload and all(isinstance(one, dict) for one in payload):
        payload = {"alerts": payload}
    return event_id, "webhook", payload if isinstance(payload, dict) else {"unreadable": text[:2000]}


def _no_such_number(text: str) -> float:
    msg = f"{text} is no JSON"
    raise ValueError(msg)


async def send_next(db: Database, publish: Publish) -> int:
    """Send the next events of incidents and keep how far that went; return how many were looked at.

    0 as well while another replica sends: one at a time, so that they stay in order.
    """
    async with db.transaction() as conn:
        reached = await cursors.hold(conn, CURSOR)
        if reached is None:
            return 0
        page = await events.page(conn, reached, PAGE)
        if page:
            await publish([message(entry) for entry in page if entry.incident_id])
            await cursors.move(conn, CURSOR, page[-1].seq)
        return len(page)


def message(entry: TimelineEntry) -> Sent:
    """Return an event as it stands on the topic: the row of the record, by incident; readers drop a seq seen before."""
    plain = entry.model_dump(mode="json")
    value = json.dumps(plain, ensure_ascii=False).encode()
    if len(value) > MAX_OUT:
        value = json.dumps({**plain, "body": {}, "body_left_out": len(value)}, ensure_ascii=False).encode()
    return Sent(str(entry.incident_id), value, {"seq": str(entry.seq), "kind": entry.kind})
