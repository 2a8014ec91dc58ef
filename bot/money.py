"""What the model may still cost today, counted from the record and so over all replicas; bot/compose.py asks before a diagnosis."""

from datetime import datetime

from tools.store import admission
from tools.store.db import Database


async def left_today(db: Database, cap_usd: float, now: datetime) -> str:
    """Return "" while today's (UTC) diagnoses cost less than *cap_usd* (0: no cap), else why the model is not asked."""
    if not cap_usd:
        return ""
    async with db.connection() as conn:
        spent = await admission.spent(conn, now.replace(hour=0, minute=0, second=0, microsecond=0))
    return "" if spent < cap_usd else f"the model: today's {cap_usd:g} USD are spent (caps.model_usd_per_day)"
