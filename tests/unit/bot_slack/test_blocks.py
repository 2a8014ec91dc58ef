"""What people read, stage by stage, from a realistic record."""

import pytest

from bot.blocks import answers, evidence, home, postmortem
from bot.blocks.card import card
from bot.blocks.kit import fit, section
from bot.blocks.thread import desired, root
from bot.postmortem import draft, figures, markdown
from bot.story import Facts
from tests.unit.bot_slack import samples
from tests.unit.bot_slack.limits import buttons, check_blocks, check_post, check_view, said
from tools.records import Case, Risk
from tools.signals import chart

FACTS = Facts(
    approvers={samples.PROPOSAL_ID: ("U0DANA", "S0ONCALL")}, threads={7: "https://drill.slack.com/archives/C1/p1"}
)


def shown(case: Case, facts: Facts = FACTS) -> dict[str, str]:
    posts = desired(case, facts)
    for post in posts:
        check_post(post)
    return {post.key: said(post) for post in posts}


def labels(case: Case, key: str) -> list[str]:
    post = next(post for post in desired(case, FACTS) if post.key == key)
    return [button["text"]["text"] for button in buttons(post.blocks)]


def test_the_first_card_says_that_somebody_looks() -> None:
    told = shown(samples.case())
    assert list(told) == ["card"]
    assert "Looking at checkout" in told["card"]


def test_the_first_observation_is_on_the_card_before_the_diagnosis() -> None:
    assert "rolled out revision 12" in shown(samples.case("open", samples.OBSERVED))["card"]


def test_the_card_answers_first_and_says_how_sure_and_by_whom() -> None:
    card = shown(samples.diagnosed())["card"]
    assert card.startswith("*checkout fails since the rollout to shop/checkout:v2*")
    assert "Very likely (87 %)" in card
    assert "Found by rules: No model is configured" in card
    assert "[`e1`]" in card
    assert "<https://prometheus.example.com/graph?g0.expr=x|open>" in card
    assert "What changed" in card
    assert "Loki answered 503" in card
    assert "payment is slow (10 %)" in card


def test_a_change_is_said_once() -> None:
    assert shown(samples.diagnosed())["card"].count("rolled out revision 12") == 1


def test_the_card_links_the_earlier_case_and_the_runbook() -> None:
    card = shown(samples.diagnosed())["card"]
    assert "Incident 7: <https://drill.slack.com/archives/C1/p1|checkout:v2 failed on the old schema>" in card
    assert "*Runbooks*" in card
    assert "<https://wiki/x|Roll back>" in card


def test_an_inconclusive_diagnosis_does_not_sound_sure() -> None:
    unsure = samples.DIAGNOSIS.model_copy(update={"conclusive": False, "confidence": 0.9})
    case = samples.diagnosed().model_copy(update={"diagnosis": unsure})
    assert "Not certain (90 %)" in shown(case)["card"]


def test_at_most_five_pieces_of_evidence_are_on_the_card() -> None:
    many = tuple(samples.EVIDENCE[1].model_copy(update={"id": f"e{number}"}) for number in range(20))
    card = shown(samples.diagnosed().model_copy(update={"evidence": many}))["card"]
    assert card.count("errors rose") == 5


def test_a_change_that_could_not_be_planned_is_said_until_another_is_proposed() -> None:
    failed = samples.row(5, 6, "plan_failed", {"action": "rollout_undo", "reason": "no earlier revision"})
    case = samples.diagnosed()
    case = case.model_copy(update={"timeline": (*case.timeline, failed)})
    assert "no earlier revision" in shown(case)["card"]
    later = samples.PROPOSED.model_copy(update={"seq": 9})
    assert "no earlier" not in shown(case.model_copy(update={"timeline": (*case.timeline, later)}))["card"]


def test_a_proposal_says_what_where_why_risk_undo_who_and_until_when() -> None:
    told = shown(samples.proposed())[f"proposal:{samples.PROPOSAL_ID}"]
    for part in (
        "Proposed: Roll back shop/checkout from revision 12 to revision 11",
        "*Where:* `shop/checkout`",
        "*Why:* Errors began with revision 12.",
        "*Risk:* medium risk: reversible",
        "*Undo:* Roll forward to revision 12 again",
        "```\n- image: shop/checkout:v2\n+ image: shop/checkout:v1\n```",
        "May approve: <@U0DANA> <!subteam^S0ONCALL>.",
        "Expires at <!date^",
        "Nothing happens until somebody approves",
    ):
        assert part in told
    assert labels(samples.proposed(), f"proposal:{samples.PROPOSAL_ID}") == ["Approve", "Reject"]


def test_buttons_carry_an_id_and_nothing_else() -> None:
    values = {button["value"] for post in desired(samples.proposed(), FACTS) for button in buttons(post.blocks)}
    assert values == {"12", samples.PROPOSAL_ID}


@pytest.mark.parametrize("risk", list(Risk))
def test_a_risky_change_asks_once_more(risk: Risk) -> None:
    post = desired(samples.proposed(risk), FACTS)[1]
    assert ("confirm" in buttons(post.blocks)[0]) == (risk >= Risk.HIGH)


def test_the_first_of_two_approvals_keeps_the_buttons() -> None:
    case = samples.proposed(Risk.CRITICAL, "proposed", approvals=(samples.approval("U0DANA"),))
    told = shown(case)[f"proposal:{samples.PROPOSAL_ID}"]
    assert "Approved by 1 of 2:* <@U0DANA>" in told
    assert "Two people are needed" in told
    assert labels(case, f"proposal:{samples.PROPOSAL_ID}") == ["Approve", "Reject"]


def test_an_approval_of_something_else_does_not_count() -> None:
    case = samples.proposed(Risk.CRITICAL, "proposed", approvals=(samples.approval("U0DANA", "other"),))
    assert "Approved by" not in shown(case)[f"proposal:{samples.PROPOSAL_ID}"]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("approved", "*Approved* by <@U0DANA>"),
        ("running", "*Running.*"),
        ("done", "*Done.*"),
        ("failed", "*Failed.*"),
        ("unknown", "*Unknown: please look at `shop/checkout`.*"),
        ("rejected", "*Rejected* by <@U0SAM>. Nothing was changed. Reason: not now"),
        ("expired", "*Expired*"),
        ("superseded", "*No longer offered:* something newer replaced it"),
    ],
)
def test_a_decided_proposal_has_no_buttons_and_says_its_state_in_words(state: str, words: str) -> None:
    rejected = samples.row(6, 31, "rejected", {"proposal_id": samples.PROPOSAL_ID, "by": "U0SAM", "reason": "not now"})
    rows = (rejected,) if state == "rejected" else ()
    case = samples.proposed(Risk.MEDIUM, state, *rows, approvals=(samples.approval("U0DANA"),))
    key = f"proposal:{samples.PROPOSAL_ID}"
    assert words in shown(case)[key]
    assert labels(case, key) == []


def test_a_changed_target_is_named() -> None:
    changed = samples.row(6, 31, "target_changed", {"proposal_id": samples.PROPOSAL_ID, "detail": "revision is 13 now"})
    told = shown(samples.proposed(Risk.MEDIUM, "superseded", changed))[f"proposal:{samples.PROPOSAL_ID}"]
    assert "no longer what was shown (revision is 13 now)" in told


def test_nobody_may_approve_is_said_with_the_remedy() -> None:
    told = shown(samples.proposed(), Facts())[f"proposal:{samples.PROPOSAL_ID}"]
    assert "Nobody may approve this yet: name people under `approvers` or `changes` in tocsin.yaml." in told


def test_the_outcome_moves_from_applied_to_recovered() -> None:
    key = f"outcome:{samples.PROPOSAL_ID}"
    applied = samples.row(7, 32, "run_ended", samples.outcome())
    case = samples.proposed(Risk.MEDIUM, "done", samples.APPROVED, applied)
    assert "Applied.* Now watching" in shown(case)[key]
    told = shown(samples.ended())
    assert "Applied, and it recovered* 18 s later" in told[key]
    assert f"verdict:{samples.PROPOSAL_ID}" not in told
    assert "Resolved: checkout after 1 min." in told["resolved"]
    assert "approved by <@U0DANA>" in told["resolved"]
    assert "diagnosed 4 s · approved 30 s · recovered 50 s · resolved 1 min" in told["resolved"]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [("not_recovered", "It did not help"), ("worse", "It got worse"), ("unknown", "I cannot tell")],
)
def test_bad_news_is_a_message_of_its_own_with_the_way_back(verdict: str, words: str) -> None:
    told = shown(samples.ended(verdict, "diagnosed"))
    assert words in told[f"verdict:{samples.PROPOSAL_ID}"]
    assert "To undo it: Roll forward to revision 12 again" in told[f"verdict:{samples.PROPOSAL_ID}"]
    assert "resolved" not in told


@pytest.mark.parametrize(
    ("result", "words"),
    [("unknown", "may or may not have been made"), ("failed", "it failed"), ("refused", "refused it")],
)
def test_a_change_that_was_not_made_says_so(result: str, words: str) -> None:
    case = samples.proposed(Risk.MEDIUM, "failed", samples.row(7, 32, "run_ended", samples.outcome(result)))
    assert words in shown(case)[f"outcome:{samples.PROPOSAL_ID}"]


def test_the_postmortem_has_times_people_and_the_form() -> None:
    case = samples.ended()
    asked = samples.row(10, 70, "postmortem_drafted", {"by": "U0SAM", "text": "x"}, "U0SAM")
    case = case.model_copy(update={"timeline": (*case.timeline, asked)})
    told = shown(case)["postmortem"]
    assert "<@U0DANA>: Approved the change" in told
    assert "Tocsin: Diagnosis: checkout fails" in told
    assert "has to be mended" in told
    assert labels(case, "postmortem") == ["Edit and keep the lesson"]
    view = postmortem.form(case)
    check_view(view)
    assert view["private_metadata"] == "12"
    kept = samples.row(11, 80, "lesson_kept", {"by": "U0SAM", "lesson_id": "lesson-12"}, "U0SAM")
    case = case.model_copy(update={"timeline": (*case.timeline, kept)})
    assert "Lesson kept by <@U0SAM>" in shown(case)["postmortem"]


def test_the_markdown_draft_holds_together() -> None:
    text = markdown(draft(samples.ended()))
    assert "shop/checkout:v2. It ended at 03:01 UTC after this change: Roll back" in text
    assert text.startswith("# Post-mortem: checkout: CheckoutHighErrors, 2026-11-23\n")
    assert "| 03:00:30 | U0DANA | Approved the change |" in text
    assert "Roll back shop/checkout from revision 12 to revision 11: recovered" in text
    assert figures(samples.ended()).lasted_s == 60


def test_a_draft_of_an_open_case_says_that_it_is_not_over() -> None:
    one = draft(samples.case())
    assert "not over yet" in one.summary
    assert figures(samples.case()).lasted_s is None


def test_show_evidence_has_the_exact_queries_and_the_failures() -> None:
    view = evidence.view(samples.diagnosed())
    check_view(view)
    told = str(view)
    assert "http_requests_total" in told
    assert "Could not be read: Loki answered 503" in told
    check_view(evidence.view(samples.case()))


def test_the_card_shows_five_lines_of_evidence_at_most_changes_among_them() -> None:
    many = tuple(
        samples.EVIDENCE[1].model_copy(update={"id": f"e{number}", "findings": (samples.ERRORS,)})
        for number in range(9)
    )
    case = samples.diagnosed().model_copy(update={"evidence": (samples.EVIDENCE[0], *many)})
    blocks = card(case, Facts(chart="")).blocks
    seen = [
        block["text"]["text"] for block in blocks if block["type"] == "section" and "What" in block["text"]["text"][:6]
    ]
    lines = [line for text in seen if "could not" not in text for line in text.splitlines()[1:]]
    assert len(lines) == 5
    assert sum("rolled out revision 12" in line for line in lines) == 1


def test_the_card_has_one_chart_with_threshold_and_onset() -> None:
    drawn = chart(
        "CheckoutHighErrors", [samples.at(15 * n).timestamp() for n in range(-60, 4)], [0.002] * 60 + [0.4] * 4,
        unit="ratio", threshold=0.05, onset=samples.at(0),
    )  # fmt: skip
    case = samples.diagnosed()
    evidence_ = (*case.evidence[:1], case.evidence[1].model_copy(update={"chart": drawn}), *case.evidence[2:])
    case = case.model_copy(update={"evidence": evidence_})
    (block,) = [block for block in card(case, Facts()).blocks if block["type"] == "data_visualization"]
    names = [series["name"] for series in block["chart"]["series"]]
    assert names == ["CheckoutHighErrors", "threshold 5"]
    assert block["chart"]["axis_config"]["y_label"] == "%"
    (onset,) = [label for label in block["chart"]["axis_config"]["categories"] if label.endswith("onset")]
    assert onset.startswith("03:00:00")
    assert block["chart"]["axis_config"]["categories"][0] >= "02:49"  # ten minutes before the onset, not all there is
    (picture,) = [block for block in card(case, Facts(chart="F01")).blocks if block["type"] == "image"]
    assert picture["slack_file"] == {"id": "F01"}
    assert "left its level at 03:00:00 UTC; threshold 5 %" in picture["alt_text"]
    assert not [
        block for block in card(case, Facts(chart="")).blocks if block["type"] in ("image", "data_visualization")
    ]


def test_home_and_status_list_what_is_open() -> None:
    view = home.home([samples.diagnosed()], "https://drill.slack.com/")
    check_view(view)
    assert "<https://drill.slack.com/archives/C0ALERTS/p1763866800000100|open the thread>" in str(view)
    check_view(home.home([samples.diagnosed()] * 60, ""))
    check_view(home.home([], ""))
    check_post(answers.status([samples.diagnosed()], ""))
    check_post(answers.status([], ""))


def test_why_lists_the_record_and_its_seal() -> None:
    post = answers.why(12, samples.ended().timeline)
    check_post(post)
    assert "<@U0DANA>: Approved the change" in said(post)
    assert "`abababababab`" in said(post)


def test_an_unknown_service_is_answered_with_what_was_meant() -> None:
    assert "Did you mean `checkout`?" in answers.unknown_service("chekout", ["cart", "checkout"])
    assert "I know: `cart`" in answers.unknown_service("zzz", ["cart"])
    assert "`cart`, `checkout`" in answers.services(["cart", "checkout"])


def test_the_root_message_names_the_alert() -> None:
    post = root(samples.case())
    check_post(post)
    assert "CheckoutHighErrors" in post.text
    assert "More than 5 %" in said(post)


def test_a_row_that_another_version_wrote_is_passed_over() -> None:
    odd = samples.row(7, 32, "run_ended", {"outcome": {"result": "exploded"}})
    told = shown(samples.proposed(Risk.MEDIUM, "done", odd, samples.row(8, 33, "verified", {})))
    assert f"outcome:{samples.PROPOSAL_ID}" not in told


def test_fit_keeps_buttons_and_says_that_something_was_cut() -> None:
    case = samples.proposed()
    long = [section("x" * 2900) for _ in range(60)]
    made = fit([*long, *desired(case, FACTS)[1].blocks[-1:]])
    check_blocks(made)
    assert made[-1]["type"] == "actions"
    assert "more than one message can show" in str(made[-2])
