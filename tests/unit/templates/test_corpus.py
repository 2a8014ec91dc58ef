"""The miner on log files whose labels are the format strings of installed packages: better than Drain, without settings."""

from itertools import islice
from statistics import fmean

import pytest

from bot.eval.drain import drain
from bot.eval.loglines import HEADERS, Template, corpus, grouping_accuracy, make
from tools.joined import collapsed, joined
from tools.templates import mine


def test_the_mean_accuracy_is_above_the_aim_and_above_drain() -> None:
    files = list(islice(corpus(), 0, None, 3))
    assert len(files) >= 16
    ours = fmean(grouping_accuracy(mine(file.lines).assigned, file.labels) for file in files)
    theirs = fmean(grouping_accuracy(drain(file.messages), file.labels) for file in files)
    assert ours > 0.86
    assert ours > theirs + 0.05


@pytest.mark.parametrize("header", sorted(HEADERS))
def test_a_header_costs_nothing(header: str) -> None:
    known = [
        Template(("Received ", " bytes from ", ""), ("count", "peer"), "INFO"),
        Template(("Error closing ", ""), ("path",), "ERROR"),
        Template(("error submitting job ", ""), ("id",), "ERROR"),
        Template(("no route to ", ": giving up after ", " tries"), ("host", "attempts"), "WARNING"),
        Template(("Retry: ", ""), ("url",), "INFO"),
        Template(("cache is full",), (), "WARNING"),
        Template(("session ", " opened for user ", ""), ("uid", "user"), "INFO"),
        Template(("session ", " closed for user ", ""), ("uid", "user"), "INFO"),
    ]
    file = make("shop", known, header, 3, 600)
    assert grouping_accuracy(mine(file.lines).assigned, file.labels) > 0.95


def test_accuracy_is_of_whole_groups() -> None:
    assert grouping_accuracy([5, 5, 7], [1, 1, 2]) == 1.0
    assert grouping_accuracy([5, 6, 7], [1, 1, 2]) == pytest.approx(1 / 3)
    assert grouping_accuracy([5, 5, 5], [1, 1, 2]) == 0.0


def test_drain_groups_what_is_similar_enough() -> None:
    assert drain(["open file a", "open file b", "close it now", "open file c d"]) == [0, 0, 1, 2]


def test_values_of_several_words_are_one() -> None:
    assert collapsed(("read", "<*>", "<*>", "of", "<*>:", "<*>")) == ("read", "<*>", "of", "<*>:", "<*>")
    ends = ["refused", "timed out", "no such file", "broken pipe by peer", "reset"]
    parts = [(("cannot", "connect:", *end.split()), [number]) for number, end in enumerate(ends)]
    other = (("cannot", "start"), [9])
    assert joined([*parts, other]) == [(("cannot", "connect:", "<*>"), [0, 1, 2, 3, 4]), other]


def test_templates_behind_the_same_words_stay_apart_where_they_are_few() -> None:
    parts = [(("unit", "web:", "started"), [0]), (("unit", "web:", "did", "not", "start"), [1])]
    assert joined(parts) == parts
