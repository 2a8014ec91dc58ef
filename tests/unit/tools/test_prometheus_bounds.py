"""An answer of Prometheus that is larger than the bound is refused in a sentence that says what to ask for instead."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.tools.fakes import serve
from tools.errors import Permanent
from tools.prometheus import MAX_BYTES, Prometheus

NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
ROW = b'{"metric":{"a":"b"},"values":[[1,"2"]]}'


def _answer(size: int) -> bytes:
    rows = ROW + b" " * (size - len(ROW))
    return b'{"status":"success","data":{"resultType":"matrix","groups":[],"result":[' + rows + b"]}}"


@pytest.mark.parametrize(("size", "fits"), [(len(ROW), True), (1_000_000, True), (MAX_BYTES + 1, False)])
async def test_an_answer_is_read_up_to_the_bound(size, fits):
    with serve(lambda *_: (200, _answer(size))) as url:
        client = Prometheus(url)
        try:
            if fits:
                assert len(await client.query_range("up", NOW - timedelta(hours=1), NOW, 60)) == 1
                assert await client.rules() == []
                return
            for call in (
                client.query("up"),
                client.query_range("up", NOW - timedelta(hours=1), NOW, 60),
                client.rules(),
            ):
                with pytest.raises(Permanent, match=r"larger than 32 MiB and was cut; ask for fewer series"):
                    await call
        finally:
            await client.aclose()


async def test_a_refusal_keeps_what_the_server_said():
    with serve(lambda *_: (422, {"status": "error", "error": "query processing would load too many samples"})) as url:
        client = Prometheus(url)
        try:
            with pytest.raises(Permanent, match="too many samples"):
                await client.query("up")
        finally:
            await client.aclose()
