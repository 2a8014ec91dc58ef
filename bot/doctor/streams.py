"""Kafka, as the doctor sees it: the brokers answer, and the topics exist."""

from bot.doctor.check import Check, fail, off, ok
from bot.settings import Settings
from bot.stream import brokers_of
from tools.errors import TocsinError
from tools.kafka import topics


async def kafka(settings: Settings) -> list[Check]:
    """Check that the topics of alerts and events can be seen; optional."""
    if not settings.kafka_servers:
        return [off("kafka", "not configured: alerts come from Slack and webhooks alone", "set KAFKA_SERVERS")]
    try:
        there = await topics(brokers_of(settings))
    except TocsinError as error:
        return [fail("kafka", str(error), "check KAFKA_SERVERS, KAFKA_PROTOCOL and the credentials")]
    wanted = [name for name in (settings.kafka_alerts_topic, settings.kafka_events_topic) if name]
    lost = [name for name in wanted if name not in there]
    if lost:
        return [
            fail("kafka", f"answers; there is no topic {', '.join(lost)}", "create it, or let the user see it (ACL)")
        ]
    return [ok("kafka", f"answers; {', '.join(wanted)}")]
