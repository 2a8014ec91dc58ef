"""How an incident's chart is shown: natively, as a picture uploaded to Slack, or not at all; for bot/thread.py.

The picture is uploaded without a channel, once per chart (a row of `posts` keeps Slack's id of it), and shown by an image block of
the card itself: so a crash between two steps leaves a file that nobody sees, and never a second message.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable

import aiohttp
import structlog
from slack_sdk.web.async_client import AsyncWebClient

from bot import story
from bot.blocks.chart import described, hides, native
from bot.blocks.kit import key_of
from bot.posting import ChartRefused
from bot.story import NATIVE
from bot.webapi import SlackRefused, call
from tools.errors import Temporary
from tools.records import Case
from tools.signals import Chart
from tools.store import posts
from tools.store.db import Database

AGAIN_S = 3600.0  # a workspace that refused native charts, or uploads, is asked again after so long
PROCESSING_S = 1.0  # Slack refuses a picture in a block until it has looked at the file
PROCESSING_TRIES = 3
ALT_CHARS = 1000
_log = structlog.get_logger(__name__)


class Pictures:
    """Decides how charts are shown and uploads pictures; what Slack refused is remembered for an hour."""

    def __init__(
        self,
        client: AsyncWebClient,
        db: Database,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._db, self._sleep, self._clock = client, db, sleep, clock
        self._no_native = self._no_upload = float("-inf")
        self._refused: dict[int, int] = {}

    async def shown(self, case: Case) -> tuple[str, Temporary | None]:
        """Return `Facts.chart` for *case*, and the reason when its picture could not be uploaded this time."""
        chart = story.chart(case) if case.diagnosis else None
        if chart is None:
            return "", None
        now = self._clock()
        simple = native(chart) is not None
        if simple and now >= self._no_native and (not hides(chart) or now < self._no_upload):
            return NATIVE, None
        if now < self._no_upload or self._refused.get(case.incident.id, 0) >= PROCESSING_TRIES:
            return "", None
        try:
            return await self._file(case, chart), None
        except SlackRefused as refused:
            self._no_upload = now + AGAIN_S
            _log.warning("charts_not_uploaded", reason=str(refused), remedy="give the app the scope files:write")
            return (NATIVE if simple and now >= self._no_native else ""), None
        except Temporary as error:
            return "", error

    async def refused(self, incident_id: int, refused: ChartRefused) -> None:
        """Take note that Slack refused a card with a chart, so that the next draw shows it in another way."""
        _log.warning("chart_refused", incident=incident_id, kind=refused.kind, reason=str(refused))
        if refused.kind == "image":
            self._refused[incident_id] = self._refused.get(incident_id, 0) + 1
            await self._sleep(PROCESSING_S)
        else:
            self._no_native = self._clock() + AGAIN_S

    async def _file(self, case: Case, chart: Chart) -> str:
        """Return Slack's id of the picture of *chart*, uploaded now unless it already is."""
        key = f"chart:{hashlib.sha256(key_of(chart.model_dump(mode='json')).encode()).hexdigest()[:16]}"
        async with self._db.connection() as conn:
            row, _mine = await posts.begin(conn, case.incident.id, key, case.incident.channel)
        if row.state == "posted":
            return row.ts
        file = await self._upload(chart, f"incident-{case.incident.id}.png")
        async with self._db.connection() as conn:
            await posts.posted(conn, case.incident.id, key, file, key)
        return file

    async def _upload(self, chart: Chart, name: str) -> str:
        from bot.picture import png  # Pillow

        content = await asyncio.to_thread(png, chart)
        told = described(chart)[:ALT_CHARS]
        place = await call(self._client.files_getUploadURLExternal, filename=name, length=len(content), alt_txt=told)
        file = str(place["file_id"])
        await self._send(str(place["upload_url"]), content)
        await call(self._client.files_completeUploadExternal, files=[{"id": file, "title": chart.title[:200] or name}])
        return file

    async def _send(self, url: str, content: bytes) -> None:
        """Hand the bytes to the address that Slack gave out; raises Temporary when it does not take them."""
        try:
            session = self._client.session
            if session is None:
                async with aiohttp.ClientSession() as own:
                    await _put(own, url, content, self._client.proxy)
            else:
                await _put(session, url, content, self._client.proxy)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Temporary(
                f"Slack did not take the picture: {type(error).__name__} {error}".rstrip(), delay=2.0
            ) from error


async def _put(session: aiohttp.ClientSession, url: str, content: bytes, proxy: str | None) -> None:
    async with session.post(url, data=content, proxy=proxy) as answer:
        answer.raise_for_status()
