"""Kafka, both ways, over aiokafka (an extra): records handed over before they are committed, records sent and confirmed.

bot/stream.py is the only user. At least once in both directions: what is repeated has no second effect, because the inbox
knows a record by its place and readers of our events know one by its number.
"""

import asyncio
import importlib.util
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from tools.errors import Permanent, Temporary, TocsinError
from tools.imports import load

log = structlog.get_logger()
MOST_RECORDS = 200  # of one batch; the inbox takes a hundred rows a statement
PAUSE_S = 2.0  # before a broker that is away is asked again
CONFIRM_S = 15.0
MAX_BYTES = 4 * 1024 * 1024  # fetched from one partition at once


@dataclass(frozen=True)
class Brokers:
    """Where Kafka is and how to get in; *protocol* is PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."""

    servers: str
    protocol: str = "PLAINTEXT"
    mechanism: str = "PLAIN"
    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""

    def options(self) -> dict[str, Any]:
        """Return aiokafka's arguments; Permanent for a CA file that cannot be read."""
        options: dict[str, Any] = {"bootstrap_servers": self.servers, "security_protocol": self.protocol}
        if "SSL" in self.protocol:
            try:
                options["ssl_context"] = ssl.create_default_context(cafile=self.ca_file or None)
            except OSError as error:
                raise Permanent(f"KAFKA_CA_FILE={self.ca_file!r} cannot be used: {error}; name a PEM file") from error
        if "SASL" in self.protocol:
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        return options


@dataclass(frozen=True)
class Kept:
    """One record as the broker keeps it; *at_ms* is its time stamp (a topic made anew counts its offsets anew)."""

    topic: str
    partition: int
    offset: int
    at_ms: int
    headers: dict[str, str]
    value: bytes

    @property
    def place(self) -> str:
        """Name it the same at every delivery."""
        return f"kafka/{self.topic}/{self.partition}/{self.offset}/{self.at_ms}"


@dataclass(frozen=True)
class Sent:
    """One record to send; those with one *key* stay in order."""

    key: str
    value: bytes
    headers: dict[str, str]


Handle = Callable[[Sequence[Kept]], Awaitable[None]]
Publish = Callable[[Sequence[Sent]], Awaitable[None]]


def installed() -> bool:
    """Say whether the extra is there, without importing it."""
    return importlib.util.find_spec("aiokafka") is not None


async def topics(brokers: Brokers) -> set[str]:
    """Return the names of the topics we may see; raise Temporary or Permanent where the brokers do not let us in."""
    load("aiokafka")
    from aiokafka import AIOKafkaConsumer

    consumer = AIOKafkaConsumer(client_id="tocsin", **brokers.options())
    with _translated():
        try:
            await consumer.start()
            return set(await consumer.topics())
        finally:
            await consumer.stop()


async def consume(
    brokers: Brokers, topic: str, group: str, handle: Handle, noticed: Callable[[str], None] = lambda _: None
) -> None:
    """Hand every record of *topic* to *handle*, in batches, until cancelled; offsets are committed after it returned.

    A batch that *handle* cannot take now (Temporary) is handed over again after its delay. *noticed* is told what is wrong
    with brokers that are away while we wait for them, "" when they are there. Raises Temporary when they cannot be reached
    at the start or a commit fails, Permanent when they turn us away: the caller decides when to come again.
    """
    load("aiokafka")
    from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener

    class Moved(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
        """Says when our share of the partitions changed, so that what is no longer ours is not committed."""

        def __init__(self) -> None:
            self.lost: set[Any] = set()

        async def on_partitions_revoked(self, revoked: Any) -> None:
            self.lost |= set(revoked)

        async def on_partitions_assigned(self, assigned: Any) -> None:
            self.lost -= set(assigned)

    consumer = AIOKafkaConsumer(
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=MAX_BYTES,
        client_id="tocsin",
        **brokers.options(),
    )
    moved = Moved()
    with _translated():
        try:
            consumer.subscribe([topic], listener=moved)
            await consumer.start()
            while True:
                batch = await consumer.getmany(timeout_ms=1000, max_records=MOST_RECORDS)
                records = [_kept(record) for part in batch.values() for record in part]
                if not records:
                    noticed(await _missing(consumer))
                else:
                    await _handed(handle, records)
                    ours = {at: part[-1].offset + 1 for at, part in batch.items() if at not in moved.lost}
                    if ours:
                        await consumer.commit(ours)
        finally:
            await consumer.stop()


async def _missing(consumer: Any) -> str:
    """Say what is wrong with brokers that are away, "" when they answer: aiokafka waits for them without a word."""
    try:
        async with asyncio.timeout(CONFIRM_S):
            with _translated():
                await consumer.topics()
    except TimeoutError:
        return f"no answer within {CONFIRM_S:g} s"
    except Temporary as error:
        return str(error)
    return ""


async def _handed(handle: Handle, records: Sequence[Kept]) -> None:
    while True:
        try:
            return await handle(records)
        except Temporary as error:
            log.warning("kafka.waiting", records=len(records), error=str(error))
            await asyncio.sleep(max(error.delay, 0.5))


def _kept(record: Any) -> Kept:
    headers = {str(name): value.decode("utf-8", "replace") for name, value in record.headers or () if value is not None}
    return Kept(record.topic, record.partition, record.offset, record.timestamp, headers, record.value or b"")


@asynccontextmanager
async def publisher(brokers: Brokers, topic: str, confirm_s: float = CONFIRM_S) -> AsyncIterator[Publish]:
    """Yield a function that sends records to *topic* and returns once all replicas in sync have them.

    It raises Temporary when that is not certain within *confirm_s*: send them again.
    """
    load("aiokafka")
    from aiokafka import AIOKafkaProducer

    producer = AIOKafkaProducer(
        acks="all",
        linger_ms=5,
        client_id="tocsin",
        request_timeout_ms=int(confirm_s * 1000),  # also how long stopping waits for what is under way
        **brokers.options(),
    )

    async def publish(records: Sequence[Sent]) -> None:
        with _translated():
            try:
                async with asyncio.timeout(confirm_s):
                    sent = [
                        await producer.send(
                            topic,
                            one.value,
                            key=one.key.encode(),
                            headers=[(name, value.encode()) for name, value in one.headers.items()],
                        )
                        for one in records
                    ]
                    await asyncio.gather(*sent)
            except TimeoutError:
                raise Temporary(f"Kafka did not confirm {len(records)} records within {confirm_s:g} s") from None

    with _translated():
        await producer.start()
    try:
        yield publish
    finally:
        with suppress(TocsinError, TimeoutError), _translated():
            async with asyncio.timeout(confirm_s):
                await producer.stop()


@contextmanager
def _translated() -> Iterator[None]:
    """Turn aiokafka's errors into Temporary (connection, leader, timeout) or Permanent (turned away)."""
    from aiokafka import errors

    try:
        yield
    except (
        errors.AuthenticationFailedError,
        errors.SaslAuthenticationFailed,
        errors.UnsupportedSaslMechanismError,
        errors.TopicAuthorizationFailedError,
        errors.GroupAuthorizationFailedError,
        errors.InvalidTopicError,
    ) as error:
        raise Permanent(f"Kafka turned us away: {error}; check KAFKA_USER, KAFKA_PASSWORD, topics and ACLs") from error
    except (errors.KafkaError, OSError) as error:
        raise Temporary(f"Kafka did not answer as usual: {error}", delay=PAUSE_S) from error
