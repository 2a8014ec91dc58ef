"""`tocsin inspect`: the Kubernetes analyzers over files of objects or a cluster; reads only, needs no Slack and no database."""

import asyncio
import json
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer

from bot.commands.start import begin
from tools.errors import Permanent
from tools.inspect import cluster, inspect, read
from tools.kube import Kube
from tools.objects import Condition, Objects
from tools.prometheus import moment

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")  # an event's text must not drive a terminal


def files(paths: Sequence[Path], now: str, *, notes: bool, as_json: bool) -> int:
    """Inspect the objects in *paths* ("-" is standard input); return the exit code: 1 when something is wrong."""
    texts = [_text(path) for path in paths]
    return _tell(read(texts, _now(now), datetime.now(UTC)), notes=notes, as_json=as_json)


def live(
    config: Path | None, context: str, namespace: str, now: str, *, notes: bool, as_json: bool, debug: bool
) -> int:
    """Inspect the objects of a cluster, in *namespace* ("" = all); return the exit code: 1 when something is wrong."""
    kubeconfig = begin(config, debug=debug).kubeconfig
    if not kubeconfig:
        raise Permanent("no cluster to look at: set KUBECONFIG, or give a file with -f")
    objects = asyncio.run(_cluster(str(kubeconfig), context, namespace, now))
    return _tell(objects, notes=notes, as_json=as_json)


async def _cluster(kubeconfig: str, context: str, namespace: str, now: str) -> Objects:
    kube = Kube(kubeconfig, context or None, timeout_s=30.0)

    def unread(why: str) -> None:
        typer.echo(f"not read: {why}", err=True)

    try:
        return await cluster(kube, namespace, _now(now) or datetime.now(UTC), unread)
    finally:
        await kube.aclose()


def _now(text: str) -> datetime | None:
    if not text:
        return None
    at = moment(text)
    if at is None:
        raise Permanent(f"--now {text}: is no time; write it as 2026-11-23T20:00:00Z")
    return at


def _text(path: Path) -> tuple[str, str]:
    try:
        raw = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as exc:
        raise Permanent(f"{path} cannot be read: {exc.strerror}; give a file of Kubernetes objects or -") from exc
    name = "standard input" if str(path) == "-" else str(path)
    return name, raw.decode("utf-8", "replace")


def _tell(objects: Objects, *, notes: bool, as_json: bool) -> int:
    everything = inspect(objects)
    found = [each for each in everything if notes or each.severity != "note"]
    aside = [each for each in everything if each.severity == "note"]
    if as_json:
        typer.echo(json.dumps({"now": objects.now.isoformat(), "objects": len(objects.items), "findings": [_record(c) for c in found],
                               "notes": [_record(c) for c in aside]},
                              ensure_ascii=False, indent=2))  # fmt: skip
    elif not found:
        hint = f"; notes: {len(aside)}, shown by --notes" if aside else ""
        typer.echo(f"nothing found ({len(objects.items)} objects{hint})")
    else:
        for each in found:
            typer.echo(_line(each))
    return 1 if any(each.severity != "note" for each in found) else 0


def _line(found: Condition) -> str:
    text = f"{found.about}  {found.condition} [{found.severity}]: {found.why} -> {found.remedy}"
    return _CONTROL.sub(" ", text)


def _record(found: Condition) -> dict[str, str | None]:
    return {
        "kind": found.kind, "namespace": found.namespace, "name": found.name, "condition": found.condition, "severity": found.severity,
        "why": found.why, "do": found.remedy, "at": found.at.isoformat() if found.at else None,
    }  # fmt: skip
