"""Lines of the field's layouts, labelled by hand: each template's lines are one group, with and without their headers."""

import random

import pytest

from tests.unit.templates.samples import SYSTEMS, accuracy, lines
from tools.templates import mine

TRACE = """2026-11-23 20:00:00 ERROR [main] c.a.Shop: order {n} failed
java.lang.IllegalStateException: no stock for {n}
\tat com.acme.Shop.sell(Shop.java:{n})
\tat com.acme.Main.main(Main.java:9)
Caused by: java.io.IOException: gone
\t... 12 more
2026-11-23 20:00:01 INFO [main] c.a.Shop: order {n} sold"""
PYTHON = """2026-11-23 20:00:00 ERROR web: request {n} failed
Traceback (most recent call last):
  File "/app/web.py", line {n}, in get
    raise KeyError(name)
KeyError: 'stock'
2026-11-23 20:00:01 INFO web: request {n} served"""


@pytest.mark.parametrize("header", [True, False], ids=["whole-lines", "messages-alone"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_template_is_one_group(system, header):
    for seed in range(3):
        text, labels = lines(system, 1_000, seed, header=header)
        assert accuracy(list(mine(text).assigned), labels) > 0.95


@pytest.mark.parametrize("system", ["openssh", "openstack", "proxifier"])
def test_the_order_of_lines_changes_nothing(system):
    text, _ = lines(system, 600, 5)
    order = list(range(len(text)))
    random.Random(1).shuffle(order)
    there, here = mine(text).assigned, mine([text[i] for i in order]).assigned
    assert accuracy([here[order.index(i)] for i in range(len(text))], list(there)) == 1.0


@pytest.mark.parametrize(("trace", "length"), [(TRACE, 6), (PYTHON, 5)], ids=["java", "python"])
def test_a_stack_trace_stays_with_its_first_line(trace, length):
    text = [line for n in (3, 81, 512) for line in trace.format(n=n).splitlines()]
    mined = mine(text)
    first, last = mined.assigned[0], mined.assigned[length]
    assert mined.assigned == ((first,) * length + (last,)) * 3
    assert first != last


def test_json_and_logfmt_lines_are_told_by_their_message():
    text = [f'{{"ts":{i},"level":"info","msg":"order {i} sold","trace":"t{i}"}}' for i in range(9)]
    text += [f'ts=2026-11-23T20:00:{i:02} level=info msg="cart {i} emptied" user=u{i}' for i in range(9)]
    assert [group.template for group in mine(text).groups] == ["order <*> sold", "cart <*> emptied"]


def test_what_is_told_in_a_few_plain_words_is_apart_and_names_are_not():
    text = [f"unit web {word}" for word in ("started", "stopped") for _ in range(20)]
    text += [f"login of user {name} accepted" for name in ("ann", "bob", "cid") for _ in range(20)]
    assert {group.template for group in mine(text).groups} == {
        "unit web started",
        "unit web stopped",
        "login of user <*> accepted",
    }
