"""How much may be under way: a new group over a cap waits in line. bot/admit.py asks at the moment of opening."""

from bot.admission.model import Load
from bot.policy_intake import Caps

SENTENCES = {
    "cap_at_once": "{limit} incidents are being investigated, which is as many as I take at once",
    "cap_per_channel": "{limit} incidents of this channel are being investigated, which is as many as I take at once",
    "cap_per_service": "{limit} incidents of one service are being investigated, which is as many as I take at once",
    "cap_per_hour": "{limit} incidents were opened within the last hour, which is as many as I open",
}


def over(caps: Caps, load: Load) -> str:
    """Name the first cap that one more incident would exceed, "" when none."""
    for name in ("at_once", "per_channel", "per_service", "per_hour"):
        if getattr(load, name) >= getattr(caps, name):
            return f"cap_{name}"
    return ""


def sentence(name: str, caps: Caps) -> str:
    """Say in one sentence what the cap is, and that nothing is lost."""
    said = SENTENCES[name].format(limit=getattr(caps, name.removeprefix("cap_")))
    return f":hourglass: {said}. New ones wait in line, critical ones first; nothing is lost. I say this once."
