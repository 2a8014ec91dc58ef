"""The App Home: redrawn whenever somebody opens it."""

from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.context.async_context import AsyncBoltContext
from slack_sdk.web.async_client import AsyncWebClient

from bot.blocks.home import home
from bot.desk import Desk
from bot.listeners._request import workspace_url
from bot.webapi import call

MAX_OPEN = 20


def register(app: AsyncApp, desk: Desk) -> None:
    """Take app_home_opened."""

    async def opened(event: dict[str, Any], client: AsyncWebClient, context: AsyncBoltContext) -> None:
        if event.get("tab") == "home":
            cases = await desk.open_cases(MAX_OPEN)
            await call(client.views_publish, user_id=event["user"], view=home(cases, workspace_url(context)))

    app.event("app_home_opened")(opened)
