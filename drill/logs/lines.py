"""How the practice services write a log line: JSON or logfmt, with level, time and fields; used by the traffic."""

import json
import random

from drill.formats import stamp


def render(style: str, at: float, level: str, message: str, fields: dict[str, object]) -> str:
    """One line in the service's style (``json`` or ``logfmt``)."""
    if style == "json":
        return json.dumps({"ts": stamp(at), "level": level, "msg": message, **fields})
    pairs = {"ts": stamp(at), "level": level, "msg": message, **fields}
    return " ".join(f"{key}={_value(value)}" for key, value in pairs.items())


def _value(value: object) -> str:
    text = str(value)
    return json.dumps(text) if any(char in text for char in ' "=') else text


def request_fields(rng: random.Random, route: str, status: str, duration_ms: float) -> dict[str, object]:
    """Return what an access line says."""
    method, _, path = route.partition(" ")
    path = path.replace("{id}", str(rng.randint(100, 999)))
    return {
        "method": method,
        "path": path,
        "status": int(status),
        "duration_ms": round(duration_ms, 1),
        "trace_id": f"{rng.getrandbits(64):016x}",
    }
