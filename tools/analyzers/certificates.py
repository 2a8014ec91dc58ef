"""TLS secrets and cert-manager's Certificates: expired, about to expire, not issued."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tools.objects import Condition, Obj, Objects, condition, found, name, namespace, said, spec, status
from tools.prometheus import moment

SOON = timedelta(days=21)  # cert-manager and ACME clients have renewed by then (30 days before the end of 90)
SHARE = 0.1  # of a short-lived certificate's life
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_ISSUING_S = 600


def analyze(objects: Objects) -> Iterator[Condition]:
    """Return the conditions of every TLS secret and Certificate."""
    told: set[tuple[str, str]] = set()
    for cert in objects.all("Certificate"):
        told.add((namespace(cert), str(spec(cert).get("secretName") or "")))
        yield from _certificate(cert, objects)
    for secret in objects.all("Secret"):
        if secret.get("type") == "kubernetes.io/tls" and (namespace(secret), name(secret)) not in told:
            yield from _secret(
                secret, objects if objects.today is None else replace(objects, now=max(objects.now, objects.today))
            )


def _certificate(cert: Obj, objects: Objects) -> Iterator[Condition]:
    ends, starts = moment(status(cert).get("notAfter")), moment(status(cert).get("notBefore"))
    yield from _expiry(cert, ends, starts, objects)
    ready = condition(cert, "Ready")
    if ready.get("status") == "False" and not (ends and ends <= objects.now):
        issuing = condition(cert, "Issuing").get("status") == "True" or ready.get("reason") in {
            "DoesNotExist",
            "Issuing",
        }
        if not (issuing and objects.recent(ready.get("lastTransitionTime"), _ISSUING_S)):
            yield found(
                cert,
                "certificate_not_ready",
                f"not ready: {said(ready)}",
                "look at its CertificateRequest, Order and issuer",
                "critical",
            )


def _expiry(obj: Obj, ends: datetime | None, starts: datetime | None, objects: Objects) -> Iterator[Condition]:
    if ends is None:
        return
    left = ends - objects.now
    life = ends - starts if starts else timedelta(days=365)
    if left <= timedelta(0):
        yield found(
            obj,
            "certificate_expired",
            f"expired on {ends:%Y-%m-%d %H:%M} UTC",
            "renew it now; look at why it was not renewed",
            "critical",
            ends,
        )
    elif left < min(SOON, max(life * SHARE, timedelta(hours=1)) if life < timedelta(days=60) else SOON):
        yield found(
            obj,
            "certificate_expiring",
            f"expires on {ends:%Y-%m-%d %H:%M} UTC, in {_days(left)}",
            "renew it; look at why it is not renewed yet",
        )


def _days(left: timedelta) -> str:
    return f"{left.days} days" if left.days else f"{int(left.total_seconds() // 3600)} hours"


def _secret(secret: Obj, objects: Objects) -> Iterator[Condition]:
    text = (secret.get("data") or {}).get("tls.crt")
    raw = b""
    if isinstance(text, str) and text:
        try:
            raw = base64.b64decode(text, validate=False)
        except (binascii.Error, ValueError):
            raw = b""
    plain = (secret.get("stringData") or {}).get("tls.crt")
    if isinstance(plain, str):
        raw = plain.encode()
    pem = _PEM.search(raw)
    if pem is None:
        return
    try:
        starts, ends = validity(base64.b64decode(pem[1]))
    except (ValueError, IndexError):
        yield found(
            secret,
            "certificate_unreadable",
            "tls.crt holds no certificate that can be read",
            "store a PEM certificate in it",
        )
        return
    yield from _expiry(secret, ends, starts, objects)


def validity(der: bytes) -> tuple[datetime, datetime]:
    """Return notBefore and notAfter of an X.509 certificate; ValueError or IndexError when *der* is none (RFC 5280, 4.1)."""
    _, start, _ = _element(der, 0)  # Certificate
    _, at, end = _element(der, start)  # TBSCertificate
    while at < end:
        tag, inner, after = _element(der, at)
        if tag == 0x30:
            first, second = _element(der, inner), None
            if first[0] in {0x17, 0x18}:  # UTCTime, GeneralizedTime: only Validity begins with one
                second = _element(der, first[2])
                return _time(der, first), _time(der, second)
        at = after
    raise ValueError("no validity in it")


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Return tag, start and end of the content of the element at *at*."""
    tag, length, start = der[at], der[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(der[start : start + size]), start + size
    if start + length > len(der):
        raise ValueError("cut short")
    return tag, start, start + length


def _time(der: bytes, element: tuple[int, int, int]) -> datetime:
    tag, start, end = element
    text = der[start:end].decode("ascii").rstrip("Z")
    if tag == 0x17:
        text = ("20" if int(text[:2]) < 50 else "19") + text
    return datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
