"""Charts, tables and texts stay inside Slack's limits for any input: judged by the practice Slack, which enforces them."""

import io
import json
import math
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from bot.blocks import evidence
from bot.blocks.card import card
from bot.blocks.chart import described, image, native, parts
from bot.blocks.kit import weight
from bot.picture import png
from bot.story import Facts
from drill.slack.blocks import MESSAGE_CHARS, check_blocks, check_view
from drill.slack.content import read
from tests.unit.bot_slack import samples
from tools.records import Case, Evidence, Finding
from tools.signals import CHART_POINTS, Chart, chart

NASTY = [
    "",
    "x" * 5000,
    "\U0001f600" * 60,
    "<!channel>",
    "```",
    "&" * 900,
    "\u202e",
    "\x00",
    "*_~`",
    "checkout: p95",
    "\n\n",
    "ä" * 200,
    "\ud800",
    "<https://e.example|x>",
]
texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=40))
numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324, math.nan, math.inf]),
)
moments = st.none() | st.datetimes(datetime(1971, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
lengths = st.sampled_from([0, 1, 2, 3, 19, 20, 21, 39, 40, 41, 240, 10_000])
units = st.sampled_from(["", "s", "ratio", "bytes", "/s", " cores"]) | texts


@st.composite
def charts(draw: st.DrawFn) -> Chart | None:
    some = draw(st.lists(numbers, min_size=1, max_size=30))
    count, step = draw(lengths), draw(st.sampled_from([0.001, 1.0, 15.0, 7200.0]))
    start = draw(st.sampled_from([0.0, 1.8e9]))
    times = [start + step * number for number in range(count)]
    values = [some[number % len(some)] for number in range(count)]
    onset = draw(moments) if draw(st.booleans()) else None
    if onset is None and times:
        onset = datetime.fromtimestamp(times[draw(st.integers(0, count - 1))], UTC)
    return chart(draw(texts), times, values, unit=draw(units), threshold=draw(st.none() | numbers), onset=onset)


def taken(blocks: list[dict[str, object]]) -> None:
    """Let the practice Slack read a message of *blocks*: it raises what Slack refuses."""
    assert check_blocks(blocks) == []
    read({"text": "x", "blocks": json.dumps(blocks, allow_nan=False)})
    assert weight(blocks) <= MESSAGE_CHARS


few = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@few
@given(charts())
def test_any_series_makes_a_chart_that_slack_takes(drawn: Chart | None) -> None:
    if drawn is None:
        return
    assert len(drawn.times) == len(drawn.values) <= CHART_POINTS
    block = native(drawn)
    if block is not None:
        taken([block, block])
    taken([image(drawn, "F0123")])
    described(drawn).encode()
    assert len(parts(drawn)) <= 20


@settings(few, max_examples=25)
@given(charts())
def test_any_series_makes_a_picture(drawn: Chart | None) -> None:
    if drawn is None:
        return
    with Image.open(io.BytesIO(png(drawn))) as picture:
        picture.load()
        assert picture.format == "PNG"


@st.composite
def seen(draw: st.DrawFn) -> Case:
    findings = tuple(
        Finding(kind=draw(st.sampled_from(["rollout", "x"])), service="s", statement=draw(texts), score=0.9)
        for _ in range(draw(st.integers(0, 20)))
    )
    pieces = tuple(
        Evidence(
            id=f"E{number}", tool=draw(texts), title=draw(texts), query=draw(texts) * 3, summary=draw(texts),
            body=draw(texts) * 4, link=draw(texts), error=draw(st.just("") | texts), findings=findings,
            started_at=samples.T0, chart=draw(charts()),
        )
        for number in range(draw(st.sampled_from([0, 1, 3, 12])))
    )  # fmt: skip
    return samples.diagnosed().model_copy(update={"evidence": pieces})


@settings(few, max_examples=40)
@given(seen(), st.sampled_from(["native", "F0123", ""]), st.integers(-3, 400))
def test_any_evidence_makes_a_card_and_pages_that_slack_takes(case: Case, drawn: str, page: int) -> None:
    taken(card(case, Facts(chart=drawn)).blocks)
    assert check_view(evidence.view(case, page), "modal") == []
    assert len(json.dumps(evidence.view(case, page))) < 250_000


def test_every_piece_of_evidence_is_on_some_page_whole() -> None:
    body = "\n".join(f"line {number} of the body <&>" for number in range(400))
    pieces = tuple(
        Evidence(
            id=f"E{number}", tool="logs", title=f"Logs {number}", query=f"query {number}", summary="s", body=body,
            started_at=samples.T0,
        )
        for number in range(12)
    )  # fmt: skip
    case = samples.diagnosed().model_copy(update={"evidence": pieces})
    told, page = "", 0
    while True:
        view = evidence.view(case, page)
        assert check_view(view, "modal") == []
        told += json.dumps(view["blocks"])
        if "evidence_later" not in json.dumps(view["blocks"]):
            break
        page += 1
    assert page > 3
    assert "more than one message can show" not in told
    for number in range(12):
        assert f"query {number}" in told
    for number in range(400):
        assert told.count(f"line {number} of") == 12
