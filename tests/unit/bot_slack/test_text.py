"""What foreign text may not become."""

from datetime import UTC, datetime

import pytest

from bot.blocks.text import clip, code, fence, link, moment, person, plain, prose, quiet, size
from bot.story import duration


@pytest.mark.parametrize(
    "hostile",
    [
        "<!channel>",
        "<!here|x>",
        "<@U123>",
        "<#C1|x>",
        "<https://evil|ok>",
        "@channel",
        "@here",
        "@Everyone",
        "<!subteam^S1>",
    ],
)
def test_foreign_text_mentions_nobody(hostile: str) -> None:
    for shown in (prose(hostile), code(hostile), fence(hostile), link("https://a.example/x", hostile)):
        inner = shown.removeprefix("<https://a.example/x|").removesuffix(">")
        assert "<" not in inner
        assert ">" not in inner
        assert "@channel" not in shown
        assert "@here" not in shown
        assert "@Everyone" not in shown


def test_a_heading_holds_no_mention_either() -> None:
    assert plain("a <!channel>\n@here", 100) == "a \u2039!channel\u203a @\u200bhere"


def test_prose_has_no_formatting_of_its_own() -> None:
    assert prose("*bold* _it_ ~gone~ `code` :fire: snake_case 10:00:30\nnext") == (
        "\u2217bold\u2217 \u02cdit\u02cd \u223cgone\u223c 'code' \u2236fire: snake_case 10:00:30 next"
    )


def test_a_fence_cannot_be_ended_from_inside() -> None:
    shown = fence("a\n```\n*APPROVED*\n```\n<!channel>")
    assert shown.startswith("```\n")
    assert shown.endswith("\n```")
    assert shown.count("```") == 2


def test_direction_overrides_and_halves_are_made_visible() -> None:
    assert prose("a\u202eb\ud800c\x00d") == "a\ufffdb\ufffdc\ufffdd"


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://", "http://a b/", "https://[", "x", "", "https://a/" + "x" * 3000]
)
def test_only_plain_web_addresses_become_links(url: str) -> None:
    assert link(url, "label") == "label"


def test_a_link_keeps_its_address_and_label_apart() -> None:
    assert link("https://a.example/x?a=1&b=<|", "a|b>c") == "<https://a.example/x?a=1&amp;b=&lt;%7C|a|b&gt;c>"


@pytest.mark.parametrize("limit", range(1, 30))
def test_clipping_never_cuts_an_entity_a_link_or_a_character(limit: int) -> None:
    cut = clip("ab&amp;cd&lt;<https://x|y>\U0001f600\U0001f600\U0001f600", limit)
    assert size(cut) <= limit
    assert cut.count("<") == cut.count(">")
    assert "&a…" not in cut
    assert "&am…" not in cut
    cut.encode()


def test_people_are_mentioned_only_by_their_ids() -> None:
    assert person("U0DANA") == "<@U0DANA>"
    assert person("slack:U0DANA") == "<@U0DANA>"
    assert person("S0ONCALL") == "<!subteam^S0ONCALL>"
    assert person("tocsin") == "Tocsin"
    assert person("U1> <!channel") == "U1&gt; &lt;!channel"


def test_a_time_has_a_fallback_for_clients_without_dates() -> None:
    assert moment(datetime(2026, 11, 23, 3, 7, tzinfo=UTC)) == "<!date^1795403220^{time}|03:07 UTC>"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min"), (252, "4 min 12 s"), (7500, "2 h 5 min"), (-3, "0 s")],
)
def test_lengths_of_time(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_sentence_of_ours_keeps_its_markup_but_shouts_at_nobody() -> None:
    ours = "*Hello* <@U1> <!subteam^S1> <#C1|x> <!date^1^{time}|x> <https://a.example/b?c=1|d> <https://a.example>"
    assert quiet(ours) == ours
    assert quiet("<!channel> @here `/diagnose <service>` <!date^1|<@U1>") == (
        "&lt;!channel> @\u200bhere `/diagnose &lt;service>` &lt;!date^1|<@U1>"
    )
