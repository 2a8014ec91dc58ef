"""The changes there are, as the policy's lint needs to know them; for bot/commands/policy.py and bot/doctor."""

import tools.actions
from bot.authority.reach import Kind
from tools.records import Risk
from tools.registry import plugins


def known() -> dict[str, Kind]:
    """Return every typed change by name: its base risk, and whether its target is in a namespace."""
    return {
        name: Kind(Risk(module.RISK), "namespace" in module.Params.model_fields)
        for name, module in plugins(tools.actions).items()
    }
