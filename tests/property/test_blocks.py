"""Whatever a record holds, what Slack is given is within its limits and mentions nobody by another's words."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.blocks import answers, evidence, home, postmortem
from bot.blocks.kit import Post
from bot.blocks.thread import desired, root
from bot.postmortem import draft, markdown
from bot.story import Facts
from tests.unit.bot_slack import samples
from tests.unit.bot_slack.limits import buttons, check_post, check_view, texts
from tools.records import Approval, Case, Evidence, Finding, Recalled, Record

HOSTILE = [
    "<!channel>", "<!here|x>", "<!everyone>", "<@UEVIL99>", "<!subteam^SEVIL99>", "@channel", "@here", "```", "`", "*", "_",
    "<https://evil.example/x|Approve>", "&", "<", ">", "|", "\n", "\u202e", "\ud800", "\x00", "\U0001f600", ":fire:", "x" * 4000,
    "&amp;" * 900, "<" * 3500, "a b " * 2000,
]  # fmt: skip
pieces = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=20))
hostile = st.lists(pieces, max_size=4).map("".join)
times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
PROPOSAL_IDS = st.sampled_from([samples.PROPOSAL_ID, "p2"])


def _of(record: type[Record], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(record, **fields)


def _changed(record: Record) -> Callable[..., Record]:
    def change(**fields: Any) -> Record:
        return record.model_copy(update=fields)

    return change


shares = st.floats(0, 1)
findings = _of(
    Finding,
    kind=st.sampled_from(["rollout", "scaled", "x"]) | hostile,
    service=hostile,
    statement=hostile,
    score=shares,
    at=st.none() | times,
    data=st.just({}),
)
evidences = _of(
    Evidence,
    **dict.fromkeys(("id", "tool", "title", "query", "summary", "body", "link"), hostile),
    error=st.just("") | hostile,
    findings=st.lists(findings, max_size=3).map(tuple),
    started_at=times,
    seconds=st.floats(0, 1e6),
)
recalleds = _of(
    Recalled,
    **dict.fromkeys(("id", "title", "text", "service", "severity", "how", "link"), hostile),
    kind=st.sampled_from(["runbook", "lesson"]),
    score=shares,
    incident_id=st.none() | st.integers(1, 99),
)
diagnoses = st.builds(
    _changed(samples.DIAGNOSIS),
    headline=hostile,
    by=st.sampled_from(["model", "rules"]),
    confidence=shares,
    conclusive=st.booleans(),
    blind_spots=st.lists(hostile, max_size=9).map(tuple),
    notes=st.lists(hostile, max_size=9).map(tuple),
    recalled=st.lists(recalleds, max_size=5).map(tuple),
    hypotheses=st.lists(
        st.builds(
            lambda statement, confidence, ids: samples.DIAGNOSIS.hypotheses[0].model_copy(
                update={"statement": statement, "confidence": confidence, "evidence": tuple(ids)}
            ),
            hostile,
            shares,
            st.lists(hostile, max_size=3),
        ),
        max_size=5,
    ).map(tuple),
)
plans = st.builds(
    _changed(samples.PROPOSAL.plan),
    target=hostile,
    line=hostile,
    diff=hostile | st.just("```\n*APPROVED*"),
    undo=hostile,
)
STATES = ["proposed", "approved", "running", "done", "failed", "unknown", "rejected", "expired", "superseded"]
proposals = st.builds(
    _changed(samples.PROPOSAL),
    id=PROPOSAL_IDS,
    plan=plans,
    why=hostile,
    reasons=st.lists(hostile, max_size=6).map(tuple),
    evidence=st.lists(hostile, max_size=20).map(tuple),
    risk=st.sampled_from(list(type(samples.PROPOSAL.risk))),
    state=st.sampled_from(STATES),
    requested_by=hostile,
)
approvals = _of(
    Approval,
    proposal_id=PROPOSAL_IDS,
    by=hostile | st.just("U0DANA"),
    decision=st.sampled_from(["approved", "rejected"]),
    digest=st.just(samples.PROPOSAL.digest),
    at=times,
    reason=hostile,
)
KINDS = [
    "joined", "observed", "diagnosed", "plan_failed", "proposed", "approved", "press_refused", "rejected", "expired", "target_changed",
    "run_started", "noted", "lesson_kept", "postmortem_drafted", "alert_resolved", "from_the_future",
]  # fmt: skip
bodies = st.fixed_dictionaries(
    {},
    optional={
        "line": hostile,
        "reason": hostile | st.none(),
        "by": hostile | st.integers(),
        "text": hostile,
        "action": hostile,
        "detail": hostile,
        "proposal_id": PROPOSAL_IDS,
        "complete": st.booleans(),
        "alert": st.none() | st.fixed_dictionaries({"name": hostile}),
        "diagnosis": st.none() | st.fixed_dictionaries({"headline": hostile}),
    },
)
outcomes = st.builds(
    lambda seq, result, detail: samples.row(
        seq, 40, "run_ended", samples.outcome(result, detail.encode("utf-8", "replace").decode())
    ),
    st.integers(1, 999),
    st.sampled_from(["applied", "refused", "failed", "unknown"]),
    hostile,
)
verdicts = st.builds(
    lambda seq, verdict, detail: samples.row(
        seq, 50, "verified", samples.verified(verdict, detail.encode("utf-8", "replace").decode())
    ),
    st.integers(1, 999),
    st.sampled_from(["recovered", "not_recovered", "worse", "unknown"]),
    hostile,
)
rows = st.one_of(
    st.builds(samples.row, st.integers(1, 999), st.floats(0, 1e6), st.sampled_from(KINDS), bodies, hostile),
    outcomes,
    verdicts,
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    seen = draw(st.lists(evidences, max_size=4))
    times_over = draw(st.sampled_from([1, 1, 60]))
    alert = samples.ALERT.model_copy(
        update={
            "name": draw(hostile),
            "service": draw(hostile),
            "annotations": {"summary": draw(hostile)},
            "links": {"x": draw(hostile)},
            "starts_at": draw(st.none() | times),
            "severity": draw(st.sampled_from(["info", "warning", "critical"])),
        }
    )
    made = samples.case(
        draw(st.sampled_from(["open", "diagnosed", "proposed", "running", "verifying", "recovered", "resolved"]))
    )
    return made.model_copy(
        update={
            "incident": made.incident.model_copy(update={"alert": alert}),
            "evidence": tuple(seen * times_over)[:200],
            "diagnosis": draw(st.none() | diagnoses),
            "proposals": tuple({one.id: one for one in draw(st.lists(proposals, max_size=2))}.values()),
            "approvals": tuple(draw(st.lists(approvals, max_size=3))),
            "timeline": tuple(draw(st.lists(rows, max_size=6)) * times_over),
        }
    )


facts = st.builds(
    Facts,
    approvers=st.dictionaries(PROPOSAL_IDS, st.lists(hostile | st.just("U0DANA"), max_size=40).map(tuple)),
    threads=st.dictionaries(st.integers(1, 99), hostile, max_size=3),
)
BROADCAST = re.compile(
    r"<!(?!date\^\d+\^[^<>|]*\|[^<>]*>|subteam\^S[A-Z0-9]+>)|@(?:here|channel|everyone|group)", re.IGNORECASE
)
LINK = re.compile(r"<(?:https?://[^<>|]+\|[^<>]+|@[UW][A-Z0-9]+|!date\^[^<>]+|!subteam\^S[A-Z0-9]+)>")


def check_safe(part: Any) -> None:
    for text in texts(part):
        assert not BROADCAST.search(text), text
        assert "\u202e" not in text
        bare = LINK.sub("", text)
        assert "<" not in bare, text
        assert bare.count("```") in (0, 2), text
        for link in LINK.findall(text):
            assert not link.endswith("|Approve>"), text
        text.encode()


def check(post: Post) -> None:
    check_post(post)
    check_safe(post.blocks)
    assert not BROADCAST.search(post.text)
    post.text.encode()
    for button in buttons(post.blocks):
        assert button["value"] in ("12", samples.PROPOSAL_ID, "p2")


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(cases(), facts)
def test_any_record_makes_posts_that_slack_takes(case: Case, known: Facts) -> None:
    posts = desired(case, known)
    assert posts == desired(case, known)
    assert len({post.key for post in posts}) == len(posts)
    for post in [*posts, root(case)]:
        check(post)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(cases(), hostile)
def test_any_record_makes_views_and_answers_that_slack_takes(case: Case, text: str) -> None:
    for view in (evidence.view(case), postmortem.form(case), home.home([case] * 30, text)):
        check_view(view)
    check_safe(evidence.view(case)["blocks"])
    check_safe(home.home([case], text)["blocks"])
    check(answers.status([case] * 20, text))
    check(answers.why(12, case.timeline or samples.ended().timeline))
    for sentence in (
        answers.unknown_service(text, [text]),
        answers.failed(text),
        answers.refused(text),
        answers.services([text] * 99),
    ):
        check_safe({"text": sentence})
        assert len(sentence) <= 3000
    assert markdown(draft(case)).startswith("# Post-mortem: ")
