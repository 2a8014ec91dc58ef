"""`make demo-check`: the demo without a person. Prints what the visitor saw, and when; exits 1 if anything is missing.

Seconds count from the moment the alert stands in #alerts to the moment the words stand in its thread, both seen in the page.
"""

import sys
from pathlib import Path

from playwright.sync_api import Error

from bench.walk import ROOT, Visitor, browser, demo

SCENARIO = "bad_rollout"
FIRST, DIAGNOSIS = "First thing I see", "What I saw"


def walk(visitor: Visitor, picture: Path | None = None) -> dict[str, float]:
    """Do what the README tells a person to do; return the figures and a 1 for each thing that happened."""
    seen: dict[str, float] = {}
    visitor.fire(SCENARIO)
    alert_at = visitor.wait_alert(1)
    visitor.open_thread(visitor.alerts().nth(0))
    # The card may have gone on to the diagnosis before the thread was open: that is a useful first line too.
    seen["first_line_s"] = min(visitor.wait_either(FIRST, DIAGNOSIS) - alert_at, 999)
    seen["diagnosis_s"] = visitor.wait_text(DIAGNOSIS) - alert_at
    visitor.wait_text("Nothing happens until somebody approves")
    if picture:
        visitor.shot(picture)
    visitor.press("Approve")
    visitor.wait_text("Applied")
    seen["approved"] = 1
    visitor.wait_text("it recovered", timeout_s=100)
    visitor.wait_text("Resolved: checkout")
    seen["recovered"] = 1
    visitor.press("Post-mortem")
    visitor.wait_text("Post-mortem draft")
    visitor.wait_text("Timeline")
    seen["postmortem"] = 1
    visitor.fire(SCENARIO)
    visitor.wait_alert(2)
    visitor.open_thread(visitor.alerts().nth(1))
    visitor.wait_text("Incident 1:")
    seen["recalled"] = 1
    visitor.say("/diagnose checkout")
    visitor.open_thread(visitor.wait_post("Diagnose on checkout"))
    visitor.wait_text(DIAGNOSIS)
    seen["diagnose"] = 1
    return seen


def main() -> int:
    """Walk once; print one line a step and the figures last."""
    try:
        with demo(*sys.argv[1:]) as address, browser() as page:
            visitor = Visitor(page, address)
            try:
                seen = walk(visitor)
            except Error:
                visitor.shot(ROOT / ".data" / "demo-check.png")
                print("The page as it was is in .data/demo-check.png")
                raise
    except (Error, RuntimeError) as error:
        print(f"demo-check failed: {error}", file=sys.stderr)
        return 1
    order = ("first_line_s", "diagnosis_s", "approved", "recovered", "postmortem", "recalled")
    print("/diagnose answered" if seen["diagnose"] else "/diagnose did not answer")
    print(" ".join(f"{name}={seen[name]:.2f}" if name.endswith("_s") else f"{name}={seen[name]:.0f}" for name in order))
    return 0


if __name__ == "__main__":
    sys.exit(main())
