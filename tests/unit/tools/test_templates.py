"""The template miner: what is variable is masked, what differs otherwise stays apart."""

import pytest

from tools.templates import mask, mine, read


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("2026-11-23T20:00:00.123Z served GET /orders/81 in 12.5ms", "<*> served GET <*> in <*>"),
        ("client 10.1.2.3:4431 gone", "client <*> gone"),
        ("id 3f2b8c1e-1111-2222-3333-444455556666 not found", "id <*> not found"),
        ("commit deadbeef12 at 0x7fff", "commit <*> at <*>"),
        ("used 512Mi of 80% for v2 of http2", "used <*> of <*> for v2 of http2"),
        ("retry=3 code=503 temp -4", "retry=<*> code=<*> temp <*>"),
    ],
)
def test_mask(text, masked):
    assert mask(text) == masked


@pytest.mark.parametrize(
    ("line", "level", "message"),
    [
        ('{"level":"error","msg":"no","error":"boom"}', "error", "no error=boom"),
        ('{"severity":"WARNING","message":"slow"}', "warning", "slow"),
        ("level=info msg=ok error=none", "info", "level=info msg=ok error=none"),
        ("2026-11-23 20:00:00 ERROR [main] boom", "error", "2026-11-23 20:00:00 ERROR [main] boom"),
        ("E1123 20:00:00.1 1 x.go:3] oh", "error", "E1123 20:00:00.1 1 x.go:3] oh"),
        ("java.lang.NullPointerException: x", "error", "java.lang.NullPointerException: x"),
        ("GET /healthz 200", "", "GET /healthz 200"),
        ("{not json", "", "{not json"),
        ('{"a":', "", '{"a":'),
        ("payment failed for order", "warning", "payment failed for order"),
    ],
)
def test_levels_and_messages(line, level, message):
    assert read(line) == (level, message)


def test_lines_that_differ_in_words_share_a_template():
    mined = mine(
        [f"user {name} logged in from web" for name in ("ann", "bob", "cid")] + ["user ann bought a green hat"]
    )
    assert [(group.template, group.count) for group in mined.groups] == [
        ("user <*> logged in from web", 3),
        ("user ann bought a green hat", 1),
    ]
    assert mined.assigned == (0, 0, 0, 1)
