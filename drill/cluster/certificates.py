"""cert-manager's stand-in: issues a Certificate again when somebody asks for it (`cmctl renew`); run by the cluster."""

from drill.cluster import kinds
from drill.cluster.events import Recorder
from drill.cluster.objects import Obj, clone, condition, from_iso, iso
from drill.cluster.store import Store

_BY = "cert-manager-certificates-issuing"
_TAKES_S = 1.0
_LASTS_S = 90 * 86400.0


class Certificates:
    """Keeps the status of every Certificate."""

    def __init__(self, store: Store, events: Recorder) -> None:
        self._store, self._events = store, events

    def reconcile(self) -> None:
        """Issue what has no certificate yet, and what has been asked for."""
        now = self._store.clock()
        for cert in list(self._store.list(kinds.CERTIFICATES)):
            issuing = condition(cert, "Issuing")
            asked = issuing is not None and issuing["status"] == "True" and issuing.get("reason") != "Failed"
            due = issuing is not None and now - from_iso(issuing["lastTransitionTime"]) >= _TAKES_S
            if "status" not in cert or (asked and due):
                self._issue(cert, now)

    def expire(self, namespace: str, name: str) -> None:
        """Let a certificate end now: its renewal failed a month ago and nobody looked."""
        cert = clone(self._store.get(kinds.CERTIFICATES, namespace, name))
        now = self._store.clock()
        line = f"Certificate expired on {iso(now)}"
        cert["status"]["notAfter"], cert["status"]["renewalTime"] = iso(now - 1), iso(now - 30 * 86400)
        cert["status"]["failedIssuanceAttempts"] = 9
        cert["status"]["conditions"] = [
            {"type": "Ready", "status": "False", "reason": "Expired", "message": line, "lastTransitionTime": iso(now)},
            {
                "type": "Issuing",
                "status": "False",
                "reason": "Failed",
                "message": "The certificate request has failed to complete and will be retried: order is in invalid state",
                "lastTransitionTime": iso(now - 3600),
            },
        ]
        self._store.update(kinds.CERTIFICATES, cert, status=True)

    def renew(self, namespace: str, name: str) -> None:
        """Ask for a new certificate as `cmctl renew` does: by an Issuing condition."""
        cert = clone(self._store.get(kinds.CERTIFICATES, namespace, name))
        others = [each for each in cert["status"]["conditions"] if each["type"] != "Issuing"]
        line = "Certificate re-issuance manually triggered"
        asked = {"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": line}
        cert["status"]["conditions"] = [*others, asked | {"lastTransitionTime": iso(self._store.clock())}]
        self._store.update(kinds.CERTIFICATES, cert, status=True)

    def _issue(self, cert: Obj, now: float) -> None:
        fresh = clone(cert)
        old = fresh.get("status") or {}
        line = "Certificate is up to date and has not expired"
        fresh["status"] = {
            "notBefore": iso(now),
            "notAfter": iso(now + _LASTS_S),
            "renewalTime": iso(now + _LASTS_S * 2 / 3),
            "revision": old.get("revision", 0) + 1,
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "Ready", "message": line, "lastTransitionTime": iso(now)}
            ],
        }
        self._store.update(kinds.CERTIFICATES, fresh, status=True)
        self._events.record(cert, "Issuing", "The certificate has been successfully issued", by=_BY)


def expired(store: Store, namespace: str, secret: str, now: float) -> bool:
    """Whether the certificate in a TLS secret is over."""
    for cert in store.list(kinds.CERTIFICATES, namespace):
        if cert["spec"].get("secretName") == secret and "status" in cert:
            return from_iso(cert["status"]["notAfter"]) <= now
    return False
