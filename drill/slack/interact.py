"""What people do on the page, turned into what Slack sends the app; live.py calls it for each request of the page."""

from typing import Any

from drill.slack import messages, people, values, views
from drill.slack.composed import compose
from drill.slack.content import blocks_of
from drill.slack.delivery import Delivery, Kind, NotAckedError
from drill.slack.errors import JsonDict, SlackError
from drill.slack.state import State, View
from drill.slack.webhooks import reply_to_command


class People:
    """Acts in the name of a person; every method raises SlackError for what Slack would not let them do."""

    def __init__(self, state: State, delivery: Delivery) -> None:
        self.state = state
        self.delivery = delivery

    def _about(self, user: str) -> JsonDict:
        found = self.state.users.get(user)
        if found is None or found.is_bot:
            raise SlackError("user_not_found")
        return {"id": found.id, "username": found.name, "name": found.name, "team_id": people.TEAM_ID}

    def _common(self, user: str, kind: str) -> JsonDict:
        return {
            "type": kind,
            "token": self.state.verification_token,
            "team": {"id": people.TEAM_ID, "domain": people.TEAM_DOMAIN},
            "enterprise": None,
            "is_enterprise_install": False,
            "user": self._about(user),
            "api_app_id": people.APP_ID,
            "action_ts": self.state.now_ts(),
            "trigger_id": self.state.trigger(user),
        }

    def _in(self, user: str, channel: Any) -> JsonDict:
        found = self.state.channels.get(str(channel))
        if found is None or user not in found.members:
            raise SlackError("channel_not_found")
        return {"id": found.id, "name": found.name or "directmessage"}

    async def _ask(self, kind: Kind, payload: JsonDict) -> tuple[JsonDict | None, str]:
        """Return the app's answer and Slack's word for a failure ("" when there was none)."""
        try:
            return await self.delivery.ask(kind, payload), ""
        except NotAckedError as error:
            late = str(error) in {"timeout", "http_timeout"}
            return None, "operation_timeout" if late else "dispatch_failed"

    async def say(self, user: str, channel: Any, text: Any, thread_ts: Any = "") -> JsonDict:
        """Post what *user* typed, or run it when it is a slash command."""
        typed = str(text or "").strip()
        self._about(user)
        place = self._in(user, channel)
        if not typed:
            raise SlackError("no_text")
        if len(typed) > 12_000:
            raise SlackError("msg_too_long")
        if typed.startswith("/"):
            await self._command(user, place, typed, str(thread_ts or ""))
            return {}
        said = compose(self.state, typed)
        said["blocks"] = blocks_of(said["blocks"])
        author = {"user": user, "team": people.TEAM_ID, "client_msg_id": self.state.new_id("M")}
        sent = messages.post(self.state, place["id"], said, author, thread_ts=thread_ts)
        return {"ts": sent["ts"]}

    async def _command(self, user: str, place: JsonDict, typed: str, thread_ts: str) -> None:
        name, _, rest = typed.partition(" ")
        if name not in {command.name for command in self.state.manifest.commands}:
            said = f"`{name}` is not a valid command."
            messages.slackbot(self.state, place["id"], user, said, thread_ts)
            return
        if thread_ts:
            messages.slackbot(self.state, place["id"], user, f"`{name}` is not supported in threads. Sorry!", thread_ts)
            return
        url = self.state.response_url(user, place["id"])
        payload = {
            "token": self.state.verification_token,
            "team_id": people.TEAM_ID,
            "team_domain": people.TEAM_DOMAIN,
            "channel_id": place["id"],
            "channel_name": place["name"],
            "user_id": user,
            "user_name": self.state.users[user].name,
            "command": name,
            "text": rest.strip(),
            "api_app_id": people.APP_ID,
            "is_enterprise_install": "false",
            "response_url": url,
            "trigger_id": self.state.trigger(user),
        }
        answer, failure = await self._ask("slash_commands", payload)
        if failure:
            messages.slackbot(self.state, place["id"], user, f'{name} failed with the error "{failure}"')
        elif answer:
            reply_to_command(self.state, user, place["id"], answer)

    async def press(self, user: str, pressed: JsonDict) -> JsonDict:
        """Use an interactive element: of a message (``channel``, ``ts``) or of a view (``view_id``)."""
        payload = self._common(user, "block_actions")
        block_id, action_id = str(pressed.get("block_id")), str(pressed.get("action_id"))
        if pressed.get("view_id"):
            blocks = self._view_context(user, pressed, payload)
        else:
            blocks = self._message_context(user, pressed, payload)
        element = values.find_element(blocks, block_id, action_id)
        if element is None:
            raise SlackError("action_not_found")
        action = values.action_of(element, block_id, pressed.get("value"), payload["action_ts"])
        payload["actions"] = [action]
        payload["state"] = values.state_of(blocks, pressed.get("values"))
        del payload["action_ts"]
        _, failure = await self._ask("interactive", payload)
        return {"error": failure} if failure else {}

    def _view_context(self, user: str, pressed: JsonDict, payload: JsonDict) -> list[JsonDict]:
        view = self._view(user, pressed.get("view_id"))
        view.data["state"] = values.state_of(view.data["blocks"], pressed.get("values"))
        payload |= {"container": {"type": "view", "view_id": view.data["id"]}, "view": view.data}
        blocks: list[JsonDict] = view.data["blocks"]
        return blocks

    def _message_context(self, user: str, pressed: JsonDict, payload: JsonDict) -> list[JsonDict]:
        place, ts = self._in(user, pressed.get("channel")), str(pressed.get("ts"))
        whispered = self.state.ephemerals.get(ts)
        message = whispered["message"] if whispered else self.state.find(place["id"], ts)
        if message is None or (whispered and whispered["user"] != user):
            raise SlackError("message_not_found")
        thread_ts = message.get("thread_ts", "")
        container = {
            "type": "message",
            "message_ts": ts,
            "channel_id": place["id"],
            "is_ephemeral": whispered is not None,
        }
        if thread_ts:
            container["thread_ts"] = thread_ts
        url = self.state.response_url(
            user, place["id"], message_ts=ts, thread_ts=thread_ts, ephemeral=whispered is not None
        )
        payload |= {"container": container, "channel": place, "response_url": url}
        if whispered is None:
            payload["message"] = messages.public(message)
        attached = [item.get("blocks", []) for item in message.get("attachments", [])]
        return [*message.get("blocks", []), *(block for blocks in attached for block in blocks)]

    def _view(self, user: str, view_id: Any) -> View:
        view = self.state.views.get(str(view_id))
        if view is None or view.user != user:
            raise SlackError("view_not_found")
        return view

    async def submit(self, user: str, view_id: Any, given: Any) -> JsonDict:
        """Submit a modal; the answer holds ``errors`` by block_id, or ``error`` when the app did not answer."""
        view = self._view(user, view_id)
        view.data["state"] = values.state_of(view.data["blocks"], given)
        faults = values.missing(view.data["blocks"], view.data["state"])
        if faults:
            return {"errors": faults}
        payload = {**self._common(user, "view_submission"), "view": view.data, "response_urls": []}
        del payload["action_ts"]
        answer, failure = await self._ask("interactive", payload)
        if failure:
            return {"error": "We had some trouble connecting. Try again?"}
        if view.data["id"] not in self.state.views:
            return {}  # the app closed or cleared it meanwhile
        try:
            errors = views.respond(self.state, view, answer)
        except SlackError as refusal:
            return {"error": f"We had some trouble connecting. Try again? ({refusal.code})"}
        return {"errors": errors} if errors else {}

    async def close(self, user: str, view_id: Any, *, cleared: bool = False) -> JsonDict:
        """Close a modal with its close button or with the cross (*cleared* takes the whole stack away)."""
        view = self._view(user, view_id)
        views.close(self.state, view, everything=cleared)
        if view.data["notify_on_close"]:
            payload = {**self._common(user, "view_closed"), "view": view.data, "is_cleared": cleared}
            del payload["trigger_id"]
            await self._ask("interactive", payload)
        return {}

    async def shortcut(self, user: str, callback_id: Any, channel: Any = "", ts: Any = "") -> JsonDict:
        """Use a shortcut: of the message at *ts*, or a global one without."""
        kind = "message_action" if ts else "shortcut"
        wanted = "message" if ts else "global"
        if (callback_id, wanted) not in {(item.callback_id, item.kind) for item in self.state.manifest.shortcuts}:
            raise SlackError("shortcut_not_found")
        payload = {**self._common(user, kind), "callback_id": callback_id}
        if ts:
            place = self._in(user, channel)
            message = self.state.find(place["id"], ts)
            if message is None:
                raise SlackError("message_not_found")
            url = self.state.response_url(user, place["id"], message_ts=str(ts))
            payload |= {"channel": place, "message": messages.public(message), "message_ts": ts, "response_url": url}
        _, failure = await self._ask("interactive", payload)
        return {"error": failure} if failure else {}

    def react(self, user: str, channel: Any, ts: Any, name: Any) -> JsonDict:
        """Add *user*'s reaction, or take it back when it is there."""
        place = self._in(user, channel)
        message = self.state.find(place["id"], ts)
        if message is None:
            raise SlackError("message_not_found")
        mine = any(item["name"] == name and user in item["users"] for item in message.get("reactions", []))
        messages.react(self.state, place["id"], str(ts), str(name), user, add=not mine)
        return {}

    def home(self, user: str, tab: str = "home") -> JsonDict:
        """Open the app's home tab; the app hears app_home_opened."""
        self._about(user)
        event: JsonDict = {
            "type": "app_home_opened",
            "user": user,
            "channel": f"D0{user[2:]}",
            "tab": tab,
            "event_ts": self.state.now_ts(),
        }
        shown = self.state.views.get(self.state.homes.get(user, ""))
        if shown is not None:
            event["view"] = shown.data
        self.state.emit(event)
        return {}
