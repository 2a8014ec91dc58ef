"""Slack, as the doctor sees it: the tokens, the granted scopes, and the channels and user groups that policy names."""

from collections.abc import Mapping
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.authority.order import rules
from bot.doctor.check import Check, fail, ok, warn
from bot.settings import Settings
from bot.webapi import call, open_client
from tools.errors import TocsinError

SCOPES: Mapping[str, str] = {
    "app_mentions:read": "mentions",
    "channels:history": "alerts in public channels",
    "channels:read": "channel names",
    "chat:write": "answers",
    "commands": "/diagnose, /tocsin and the message menu",
    "files:write": "charts as pictures, where the workspace has no native ones",
    "groups:history": "alerts in private channels",
    "groups:read": "names of private channels",
    "reactions:write": "the mark on an alert's message",
    "usergroups:read": "user groups as approvers",
    "users:read": "telling full members from guests, bots and strangers; without it nobody may ask or approve",
}
"""Every bot scope of deploy/slack-manifest.yaml, and what is missing without it; a test compares the two."""


async def examine(settings: Settings) -> list[Check]:
    """Check the tokens first; without a working one nothing else can be asked."""
    if not settings.slack_bot_token:
        return [
            fail(
                "slack",
                "SLACK_BOT_TOKEN is not set",
                "install the app from deploy/slack-manifest.yaml, or try: tocsin demo",
            )
        ]
    async with open_client(settings.slack_bot_token.get_secret_value(), settings.slack_api_url) as client:
        checks, works = await _bot_token(client)
        checks += await _events(client, settings)
        if works:
            checks += await _channels(client, settings)
            checks += await _groups(client, settings)
    return checks


async def _bot_token(client: AsyncWebClient) -> tuple[list[Check], bool]:
    answers: list[Any] = []

    async def auth_test() -> Any:
        answers.append(await client.auth_test())
        return answers[0]

    try:
        me = await call(auth_test)
    except TocsinError as error:
        remedy = "copy the Bot User OAuth Token (xoxb-) from OAuth & Permissions of your app"
        return [fail("slack", str(error), remedy)], False
    headers = {key.lower(): value for key, value in answers[0].headers.items()}
    granted = {scope.strip() for scope in str(headers.get("x-oauth-scopes", "")).split(",")} - {""}
    checks = [ok("slack", f"@{me.get('user')} in {me.get('team')} ({me.get('url')})")]
    missing = [f"{scope} ({use})" for scope, use in SCOPES.items() if scope not in granted]
    if missing:
        remedy = "add them under OAuth & Permissions (or paste deploy/slack-manifest.yaml) and reinstall the app"
        checks.append(fail("slack scopes", f"not granted: {', '.join(missing)}", remedy))
    else:
        checks.append(ok("slack scopes", f"all {len(SCOPES)} granted"))
    return checks, True


async def _events(client: AsyncWebClient, settings: Settings) -> list[Check]:
    """Check the way in: the app token for Socket Mode, the signing secret for HTTP."""
    if settings.slack_mode == "http":
        if settings.slack_signing_secret:
            return [ok("slack events", f"over HTTP, at port {settings.listen_port}, path /slack/events")]
        remedy = "copy SLACK_SIGNING_SECRET from Basic Information of your app"
        return [fail("slack events", "SLACK_SIGNING_SECRET is not set", remedy)]
    token = settings.slack_app_token.get_secret_value()
    try:
        await call(client.apps_connections_open, app_token=token)
    except TocsinError as error:
        remedy = "make an app-level token (xapp-) with connections:write, and switch Socket Mode on"
        return [fail("slack events", str(error), remedy)]
    return [ok("slack events", "Socket Mode opens")]


async def _channels(client: AsyncWebClient, settings: Settings) -> list[Check]:
    """Check that the bot is in every channel that policy names."""
    wanted = set(settings.policy.channels.watch) | {settings.policy.channels.default}
    wanted |= {service.channel for service in settings.policy.services.values() if service.channel}
    wanted -= {""}
    joined: set[str] = set()
    cursor = ""
    try:
        while True:
            page = await call(
                client.users_conversations, types="public_channel,private_channel", limit=200, cursor=cursor
            )
            for channel in page["channels"]:
                joined |= {str(channel["name"]), str(channel["id"])}
            cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
            if not cursor:
                break
    except TocsinError as error:
        return [fail("slack channels", str(error), "grant channels:read and groups:read")]
    absent = sorted(wanted - joined)
    if absent:
        says = f"not in {', '.join(absent)}, or no such channel"
        return [fail("slack channels", says, "type /invite @tocsin there, or correct channels in tocsin.yaml")]
    return [ok("slack channels", f"in {', '.join(sorted(wanted))}")] if wanted else []


async def _groups(client: AsyncWebClient, settings: Settings) -> list[Check]:
    """Check that the user groups that may approve exist and have somebody in them."""
    lists = [rule.approvers for rule in rules(settings.policy)]
    lists += [glass.approvers for glass in settings.policy.changes.break_glass]
    named = {one for listed in lists for one in listed if one[0] == "S"}
    checks = []
    for group in sorted(named):
        try:
            members = (await call(client.usergroups_users_list, usergroup=group)).get("users") or []
        except TocsinError as error:
            checks.append(fail("slack approvers", f"user group {group}: {error}", "correct approvers in tocsin.yaml"))
            continue
        if members:
            checks.append(ok("slack approvers", f"user group {group} has {len(members)} members"))
        else:
            checks.append(warn("slack approvers", f"user group {group} is empty", "add people to it in Slack"))
    return checks
