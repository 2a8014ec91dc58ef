"""HTTP mode: signed POSTs to the app's own URL, as Slack sends them; the other Transport of delivery.py."""

import hashlib
import hmac
import json
from urllib.parse import urlencode

import httpx

from drill.slack.delivery import Attempt, Kind, NotAckedError
from drill.slack.errors import JsonDict
from drill.slack.state import State


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return X-Slack-Signature v0: https://docs.slack.dev/authentication/verifying-requests-from-slack."""
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


class Posts:
    """Sends events, commands and interactions to *url*, which Slack first verifies with a challenge."""

    def __init__(self, state: State, url: str) -> None:
        self.state = state
        self.url = url
        self.verified = False
        self.client = httpx.AsyncClient(follow_redirects=False)

    async def send(self, kind: Kind, payload: JsonDict, attempt: Attempt, seconds: float) -> JsonDict | None:
        """POST *payload* and return the JSON object answered, if any; raises NotAckedError without a 2xx in time."""
        if not self.verified:
            await self.verify(seconds)
        if kind == "events_api":
            body, form = json.dumps(payload).encode(), False
        elif kind == "interactive":
            body, form = urlencode({"payload": json.dumps(payload)}).encode(), True
        else:
            body, form = urlencode(payload).encode(), True
        answer = await self._post(body, seconds, form=form, attempt=attempt)
        return _answered(answer)

    async def verify(self, seconds: float) -> None:
        """Ask the app to repeat a challenge, which proves that the URL is its own; raises NotAckedError."""
        challenge = self.state.new_id("challenge-")
        said = {"token": self.state.verification_token, "challenge": challenge, "type": "url_verification"}
        answer = await self._post(json.dumps(said).encode(), seconds, form=False, attempt=Attempt())
        if challenge not in answer.text:
            raise NotAckedError("url_verification_failed")
        self.verified = True

    async def _post(self, body: bytes, seconds: float, *, form: bool, attempt: Attempt) -> httpx.Response:
        stamp = str(int(self.state.clock()))
        headers = {
            "Content-Type": "application/x-www-form-urlencoded" if form else "application/json",
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": signature(self.state.signing_secret, stamp, body),
        }
        if attempt.number:
            headers |= {"X-Slack-Retry-Num": str(attempt.number), "X-Slack-Retry-Reason": attempt.reason}
        try:
            answer = await self.client.post(self.url, content=body, headers=headers, timeout=seconds)
        except httpx.TimeoutException:
            raise NotAckedError("http_timeout") from None
        except httpx.HTTPError:
            raise NotAckedError("connection_failed") from None
        if not answer.is_success:
            raise NotAckedError("http_error")
        return answer

    async def aclose(self) -> None:
        """Close the client."""
        await self.client.aclose()


def _answered(answer: httpx.Response) -> JsonDict | None:
    if not answer.text.strip():
        return None
    try:
        said = answer.json()
    except ValueError:
        return {"text": answer.text}  # a command may be answered with plain text
    return said if isinstance(said, dict) else None
