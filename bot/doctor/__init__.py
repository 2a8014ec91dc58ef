"""`tocsin doctor`: every connection, scope and right, checked at once; called by bot/commands/doctor.py.

One module per kind of thing, each an async function `Settings -> list[Check]`. A check says what is wrong and what to do.
"""

import asyncio
from collections.abc import Awaitable, Callable

from bot.doctor import clusters, models, monitoring, policies, remediations, stores, streams, workspace
from bot.doctor.check import Check, fail
from bot.settings import Settings
from tools.errors import TocsinError

DEADLINE_S = 30.0
Examine = Callable[[Settings], Awaitable[list[Check]]]
PARTS: dict[str, Examine] = {
    "policy": policies.examine,
    "slack": workspace.examine,
    "postgres": stores.postgres,
    "redis": stores.redis,
    "kafka": streams.kafka,
    "prometheus": monitoring.prometheus,
    "loki": monitoring.loki,
    "elasticsearch": monitoring.elasticsearch,
    "traces": monitoring.traces,
    "alertmanager": monitoring.alertmanager,
    "kubernetes reader": clusters.reader,
    "kubernetes actor": clusters.actor,
    "remediations": remediations.examine,
    "model": models.model,
    "embeddings": models.embeddings,
}


async def examine(settings: Settings, deadline_s: float = DEADLINE_S) -> list[Check]:
    """Run every part at once and return its checks in the order of PARTS; a part that is too slow fails."""
    found = await asyncio.gather(*(_within(name, part(settings), deadline_s) for name, part in PARTS.items()))
    return [check for checks in found for check in checks]


async def _within(name: str, part: Awaitable[list[Check]], deadline_s: float) -> list[Check]:
    try:
        async with asyncio.timeout(deadline_s):
            return await part
    except TimeoutError:
        return [
            fail(name, f"no answer within {deadline_s:g} s", "check the address, and that this machine may reach it")
        ]
    except TocsinError as error:
        return [fail(name, str(error), "see the message")]
