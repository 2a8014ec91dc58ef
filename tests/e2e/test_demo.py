"""`tocsin demo` as a person meets it, in a real browser: what the README promises, once over each of Slack's two roads."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from bench.demo_check import walk
from bench.walk import Visitor, browser, demo
from drill.model import Reply, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PICTURES = Path(__file__).parents[2] / ".data" / "e2e"


def test_one_alert_end_to_end_and_remembered():
    PICTURES.mkdir(parents=True, exist_ok=True)
    with demo() as address, browser(height=1240) as page:
        seen = walk(Visitor(page, address), PICTURES / "demo.png")
    happened = {name: value for name, value in seen.items() if not name.endswith("_s")}
    assert happened == {"approved": 1, "recovered": 1, "postmortem": 1, "recalled": 1, "diagnose": 1}
    assert (PICTURES / "demo.png").stat().st_size > 20_000


def test_a_stranger_is_told_who_may_and_a_rejected_change_is_not_made_over_http():
    with demo("--http") as address, browser(width=390, height=844, dark=True) as page:
        visitor = Visitor(page, address)
        visitor.fire("dependency_down")
        visitor.wait_alert(1)
        visitor.open_thread(visitor.alerts().nth(0))
        visitor.wait_text("payment has no pods")
        visitor.wait_text("Nothing happens until somebody approves")
        visitor.become("Eve")
        visitor.press("Approve")
        visitor.wait_text("You may not decide")
        visitor.become("Dana")
        visitor.press("Reject")
        visitor.wait_text("Rejected")
        expect(page.locator("#thread").get_by_test_id("block-button").filter(has_text="Approve")).to_have_count(0)
        PICTURES.mkdir(parents=True, exist_ok=True)
        visitor.shot(PICTURES / "phone-dark.png")


def test_a_configured_model_diagnoses_and_its_uncited_claim_is_dropped():
    claim = {
        "statement": "checkout v2 writes to a table that does not exist",
        "cause": "rollout",
        "service": "checkout",
    }
    diagnosis = {
        "headline": "checkout v2 broke orders",
        "confidence": 0.8,
        "conclusive": True,
        "hypotheses": [
            {**claim, "confidence": 0.8, "evidence": ["E2", "E4"]},
            {"statement": "payment is under attack", "confidence": 0.9, "evidence": ["E99"]},
        ],
        "suggestions": [
            {
                "action": "rollout_undo",
                "params": {"namespace": "shop", "deployment": "checkout"},
                "why": "errors began with it",
                "evidence": ["E2"],
            }
        ],
    }
    script = [Reply(calls=(("changes", {"service": "checkout"}),)), Reply(calls=(("submit_diagnosis", diagnosis),))]
    with serving(script) as (model, base_url):
        environment = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "k", "OPENAI_MODEL": "scripted"}
        with demo(**environment) as address, browser() as page:
            visitor = Visitor(page, address)
            visitor.fire("bad_rollout")
            visitor.wait_alert(1)
            visitor.open_thread(visitor.alerts().nth(0))
            visitor.wait_text("Found by the model")
            visitor.wait_text("Nothing happens until somebody approves")
            panel = page.get_by_test_id("thread-panel")
            expect(panel).to_contain_text("Dropped a claim that cites E99")
            expect(panel).not_to_contain_text("It could also be")
        assert len(model.requests) == 2
