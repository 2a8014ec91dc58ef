"""Kafka both ways against a broker that speaks its protocol (noida, the smallest to be had; no Kafka can be installed here)."""

import asyncio
import contextlib
import json
import socket
import subprocess
from collections.abc import AsyncIterator
from importlib.resources import files

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from agents.incident import Noted
from bot.inbox import Inbox
from bot.settings import load
from bot.stream import Stream, event_of, message, send_next
from tests.integration.store.samples import opened
from tools import kafka
from tools.errors import Temporary
from tools.kafka import Brokers, Kept
from tools.queue import Queue
from tools.store import events, inbox

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
ALERT = {"version": "4", "status": "firing", "alerts": [{"labels": {"alertname": "Slow", "service": "shop"}}]}


class Broker:
    """One broker that can be stopped and started again on its port and data."""

    def __init__(self, folder, port):
        self.servers = f"127.0.0.1:{port}"
        binary = str(files("noida_db").joinpath("noida-db"))
        self._command = [binary, "start", "--only", "kafka", "--kafka-port", str(port), "--data-dir", str(folder)]
        self._process = None

    async def start(self):
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
        host, port = self.servers.split(":")
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(host, int(port))
                    writer.close()
                    return
                await asyncio.sleep(0.05)

    def stop(self):
        if self._process:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


@pytest.fixture
async def broker(tmp_path) -> AsyncIterator[Broker]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "noida-db").mkdir()
    one = Broker(tmp_path / "noida-db", port)
    await one.start()
    admin = AIOKafkaAdminClient(bootstrap_servers=one.servers)
    await admin.start()
    await admin.create_topics([NewTopic("alerts", 2, 1), NewTopic("events", 1, 1)])
    await admin.close()
    try:
        yield one
    finally:
        one.stop()


async def produce(broker, *values, **headers):
    producer = AIOKafkaProducer(bootstrap_servers=broker.servers)
    await producer.start()
    for number, value in enumerate(values):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        marks = [(name, text.encode()) for name, text in headers.items()]
        await producer.send_and_wait("alerts", body, partition=number % 2, headers=marks)
    await producer.stop()


async def topic(broker, name, count):
    """Return the first *count* records of *name*, read without a group."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.servers, auto_offset_reset="earliest")
    await consumer.start()
    consumer.assign([TopicPartition(name, 0)])
    found = []
    try:
        async with asyncio.timeout(30):
            while len(found) < count:
                for part in (await consumer.getmany(timeout_ms=300)).values():
                    found += part
    finally:
        await consumer.stop()
    return found


@pytest.fixture
async def incident(db) -> int:
    number = await opened(db)
    async with db.transaction() as conn:  # only what a test notes is to be sent
        await conn.execute("INSERT INTO event_cursors SELECT 'kafka', seq FROM audit_head")
    return number


@contextlib.asynccontextmanager
async def running(work):
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(look, count):
    async with asyncio.timeout(30):
        while len(found := await look()) < count:  # noqa: ASYNC110 - the end is a row
            await asyncio.sleep(0.05)
    return found


async def kept(db):
    async with db.connection() as conn:
        return await (await conn.execute("SELECT event_id, payload FROM inbox ORDER BY event_id")).fetchall()


def stream(broker, db, receive):
    settings = load(
        {"KAFKA_SERVERS": broker.servers, "KAFKA_ALERTS_TOPIC": "alerts", "KAFKA_EVENTS_TOPIC": "events", "HOME": "/"}
    )
    return Stream(settings, receive, db, pause_s=0.2, confirm_s=2)


async def test_every_record_is_in_the_inbox_once_however_often_it_is_read(broker, db):
    store = Inbox(db, Queue(db))
    await produce(broker, *({**ALERT, "groupKey": str(n)} for n in range(30)), sender="alertmanager")
    seen = []

    async def receive(event_id, kind, payload):
        seen.append(event_id)
        return await store.receive(event_id, kind, payload)

    for group in ("first", "second"):  # a group of its own reads everything again, as after lost offsets
        before = len(seen)
        async with running(kafka.consume(Brokers(broker.servers), "alerts", group, taken(receive))):
            await until(lambda before=before: answered(seen[before:]), 30)
    rows = await until(lambda: kept(db), 30)
    assert len(rows) == 30
    assert len(seen) == 60
    assert all(row["event_id"].startswith("alertmanager:kafka/alerts/") for row in rows)


async def answered(value):
    return value


def taken(receive):
    async def handle(records):
        await asyncio.gather(*(receive(*event_of(record)) for record in records))

    return handle


async def test_what_the_database_could_not_keep_is_read_again(broker, db):
    store = Inbox(db, Queue(db))
    await produce(broker, ALERT)
    tries = []

    async def receive(event_id, kind, payload):
        tries.append(event_id)
        if len(tries) < 3:
            raise Temporary("Postgres is away", delay=0.1)
        return await store.receive(event_id, kind, payload)

    async with running(kafka.consume(Brokers(broker.servers), "alerts", "tocsin", taken(receive))):
        await until(lambda: kept(db), 1)
    assert len(set(tries)) == 1
    assert len(tries) == 3


async def test_a_record_is_committed_after_it_is_kept_and_not_before(broker, db):
    await produce(broker, ALERT)
    reached = asyncio.Event()

    async def never(records):
        reached.set()
        await asyncio.sleep(600)

    async with running(kafka.consume(Brokers(broker.servers), "alerts", "tocsin", never)):
        await asyncio.wait_for(reached.wait(), 30)  # and killed while it was being kept
    store = Inbox(db, Queue(db))
    async with running(kafka.consume(Brokers(broker.servers), "alerts", "tocsin", taken(store.receive))):
        await until(lambda: kept(db), 1)


async def test_what_is_no_json_stays_in_the_inbox_with_its_text(broker, db):
    store = Inbox(db, Queue(db))
    await produce(broker, b"\xff not json", b"[1, 2]", b"")
    async with running(kafka.consume(Brokers(broker.servers), "alerts", "tocsin", taken(store.receive))):
        rows = await until(lambda: kept(db), 3)
    assert sorted(row["payload"]["unreadable"] for row in rows) == ["", "[1, 2]", "\ufffd not json"]
    async with db.connection() as conn:
        assert (await inbox.get(conn, rows[0]["event_id"])).state == "new"


async def noted(db, *texts):
    at = (await clock(db))["now"]
    async with db.transaction() as conn:
        row = await (await conn.execute("SELECT id FROM incidents LIMIT 1")).fetchone()
        for text in texts:
            event = Noted(by="U1", text=text, ts="1.1")
            await events.append(conn, row["id"], "noted", "U1", event.model_dump(mode="json"), at)
        await events.append(conn, 0, "chain", "tocsin", {}, at)


async def clock(db):
    async with db.connection() as conn:
        return await (await conn.execute("SELECT now()")).fetchone()


async def test_every_event_of_an_incident_is_sent_in_order_and_again_after_a_crash(broker, db, incident):
    await noted(db, "one", "two")

    class Crash(Exception):
        pass

    async with kafka.publisher(Brokers(broker.servers), "events") as publish:

        async def dies_after(records):
            await publish(records)
            raise Crash

        with pytest.raises(Crash):
            await send_next(db, dies_after)
        assert await send_next(db, publish) == 3
        await noted(db, "three")
        assert await send_next(db, publish) == 2
        assert await send_next(db, publish) == 0
    records = await topic(broker, "events", 5)
    values = [json.loads(record.value) for record in records]
    assert [value["body"]["text"] for value in values] == ["one", "two", "one", "two", "three"]
    assert [value["seq"] for value in values] == [1, 2, 1, 2, 4]  # readers drop a seq they have seen
    assert {record.key for record in records} == {str(incident).encode()}


async def test_one_replica_sends_at_a_time(db, incident):
    await noted(db, "one")
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow(records):
        inside.set()
        await go_on.wait()

    async def other(records):
        raise AssertionError("two at once")

    first = asyncio.create_task(send_next(db, slow))
    await inside.wait()
    assert await send_next(db, other) == 0
    go_on.set()
    assert await first == 2


async def test_a_broker_that_goes_away_is_waited_for_and_said(broker, db, incident):
    store = Inbox(db, Queue(db))
    bridge = stream(broker, db, store.receive)
    assert bridge.on
    async with running(bridge.run()):
        await produce(broker, {**ALERT, "n": 1})
        await until(lambda: kept(db), 1)
        broker.stop()
        await noted(db, "while away")
        async with asyncio.timeout(60):
            while bridge.part().ok:  # noqa: ASYNC110 - as a probe of /readyz looks
                await asyncio.sleep(0.1)
        assert "Kafka " in bridge.part().detail
        await broker.start()
        records = await topic(broker, "events", 1)
        assert json.loads(records[0].value)["body"]["text"] == "while away"
        await produce(broker, {**ALERT, "n": 2})
        await until(lambda: kept(db), 2)
        async with asyncio.timeout(30):
            while not bridge.part().ok:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


async def test_an_event_over_the_brokers_limit_goes_without_its_body(db, incident):
    await noted(db, "x" * 950_000)
    async with db.connection() as conn:
        (entry, _) = await events.page(conn, 0, 2)
    sent = json.loads(message(entry).value)
    assert (sent["seq"], sent["body"], sent["body_left_out"] > 950_000) == (1, {}, True)


def test_a_topic_made_anew_gives_new_ids():
    one, other = (event_of(Kept("alerts", 0, 7, at, {}, b"{}"))[0] for at in (1000, 2000))
    assert one != other
