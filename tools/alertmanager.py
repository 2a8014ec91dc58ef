"""What Alertmanager holds right now, over its API v2; used by intake's silence check and `tocsin doctor`."""

from collections.abc import Mapping, Sequence
from typing import Any

from tools.access import Access, client
from tools.errors import Permanent
from tools.fetch import get_json


class Alertmanager:
    """A read-only Alertmanager client; *timeout_s* is seconds."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 5.0,
        access: Access | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._client = client(self.url, headers, access, timeout_s)

    async def alerts(self, filters: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Active, silenced and inhibited alerts that match all *filters* (such as ``service="checkout"``)."""
        tried = f"Alertmanager alerts {' '.join(filters) or '(all)'}"
        answer = await get_json(self._client, "/api/v2/alerts", [("filter", f) for f in filters], tried)
        if not isinstance(answer, list):
            raise Permanent(f"{tried}: the answer is not a list; is {self.url} an Alertmanager?")
        return [alert for alert in answer if isinstance(alert, dict)]

    async def silences(self) -> list[dict[str, Any]]:
        """Return every silence it keeps: *status.state* is active, pending or expired; *matchers* are what they match."""
        tried = "Alertmanager silences"
        answer = await get_json(self._client, "/api/v2/silences", [], tried)
        if not isinstance(answer, list):
            raise Permanent(f"{tried}: the answer is not a list; is {self.url} an Alertmanager?")
        return [silence for silence in answer if isinstance(silence, dict)]

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()
