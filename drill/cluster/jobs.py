"""The Job and CronJob controllers: runs to completion, retries up to the limit, history kept short; run by the cluster."""

from drill.cluster import kinds, limits, quota
from drill.cluster.events import Recorder
from drill.cluster.objects import ApiError, Kind, Obj, clone, condition, iso, owner_reference, owner_uid
from drill.cluster.store import Store

_BY, _CRON_BY = "job-controller", "cronjob-controller"
_MISSED_S = 120.0  # a run that was due longer ago than this (the world was not there) is not made up for
_AGAIN_S = 5.0  # after a pod was refused; a real controller backs off from 10 s
_DAY_S = 86400


class Jobs:
    """Reconciles every CronJob and Job."""

    def __init__(self, store: Store, events: Recorder) -> None:
        self._store, self._events = store, events
        self._looked = 0.0
        self._waiting: dict[str, float] = {}

    def reconcile(self) -> None:
        """Start what is due, and bring every Job's status up to date."""
        now = self._store.clock()
        minute = now // 60 * 60
        if minute > self._looked:
            due, self._looked = now - minute <= _MISSED_S, minute
            for cron in list(self._store.list(kinds.CRONJOBS)):
                if due and not cron["spec"].get("suspend") and matches(cron["spec"]["schedule"], minute):
                    self.start(cron, f"{cron['metadata']['name']}-{int(minute // 60)}", minute)
        owned: dict[str, list[Obj]] = {}
        for pod in self._store.list(kinds.PODS):
            owned.setdefault(owner_uid(pod), []).append(pod)
        for job in list(self._store.list(kinds.JOBS)):
            self._job(job, owned.get(job["metadata"]["uid"], []))
        for cron in list(self._store.list(kinds.CRONJOBS)):
            self._history(cron)
        self._orphans(owned)

    def start(self, cron: Obj, name: str, scheduled: float = 0.0) -> None:
        """Create one Job of a CronJob, as its schedule or `kubectl create job --from` does."""
        meta, template = cron["metadata"], clone(cron["spec"]["jobTemplate"])
        inner = template.get("metadata") or {}
        mark = {"cronjob.kubernetes.io/instantiate": "manual"} if not scheduled else {}
        body = {
            "metadata": {"name": name, "namespace": meta["namespace"], "ownerReferences": [owner_reference(cron)],
                         "labels": inner.get("labels") or {}, "annotations": mark},
            "spec": template["spec"],
        }  # fmt: skip
        self._store.create(kinds.JOBS, body)
        self._events.record(cron, "SuccessfulCreate", f"Created job {name}", by=_CRON_BY)
        if scheduled:
            fresh = clone(self._store.get(kinds.CRONJOBS, meta["namespace"], meta["name"]))
            fresh.setdefault("status", {})["lastScheduleTime"] = iso(scheduled)
            self._store.update(kinds.CRONJOBS, fresh, status=True)

    def _job(self, job: Obj, pods: list[Obj]) -> None:
        if _ended(job) or job["spec"].get("suspend"):
            return
        now, phases = self._store.clock(), [pod["status"].get("phase") for pod in pods]
        failed, limit = phases.count("Failed"), job["spec"].get("backoffLimit", 6)
        status: Obj = {"startTime": (job.get("status") or {}).get("startTime") or iso(now)}
        if "Succeeded" in phases:
            self._end(job, status | {"succeeded": 1, "completionTime": iso(now)}, "Complete", "CompletionsReached",
                      "Reached expected number of succeeded pods", failed)  # fmt: skip
            self._events.record(job, "Completed", "Job completed", by=_BY)
            self._succeeded(job, now)
            return
        if failed > limit:
            line = "Job has reached the specified backoff limit"
            self._end(job, status, "Failed", "BackoffLimitExceeded", line, failed)
            self._events.record(job, "BackoffLimitExceeded", line, by=_BY, warning=True)
            return
        if not any(phase in ("Pending", "Running") for phase in phases):
            self._pod(job)
        status |= {"active": 1} | ({"failed": failed} if failed else {})
        self._write(kinds.JOBS, job, status)

    def _end(self, job: Obj, status: Obj, kind: str, reason: str, message: str, failed: int) -> None:
        at = iso(self._store.clock())
        common = {"status": "True", "lastProbeTime": at, "lastTransitionTime": at, "reason": reason, "message": message}
        first = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}[kind]
        status |= {"failed": failed} if failed else {}
        self._write(kinds.JOBS, job, status | {"conditions": [{"type": first} | common, {"type": kind} | common]})

    def _succeeded(self, job: Obj, now: float) -> None:
        for ref in job["metadata"].get("ownerReferences") or ():
            cron = self._store.find(kinds.CRONJOBS, job["metadata"]["namespace"], ref["name"])
            if cron is not None and ref["kind"] == "CronJob":
                self._write(kinds.CRONJOBS, cron, (cron.get("status") or {}) | {"lastSuccessfulTime": iso(now)})

    def _write(self, kind: Kind, obj: Obj, status: Obj) -> None:
        if status != obj.get("status"):
            place = {key: obj["metadata"][key] for key in ("name", "namespace")}
            self._store.update(kind, {"metadata": place, "status": status}, status=True)

    def _pod(self, job: Obj) -> None:
        meta, template = job["metadata"], clone(job["spec"]["template"])
        labels = (template.get("metadata") or {}).get("labels") or {}
        more = {"batch.kubernetes.io/job-name": meta["name"], "job-name": meta["name"],
                "batch.kubernetes.io/controller-uid": meta["uid"]}  # fmt: skip
        pod = {
            "metadata": {"generateName": f"{meta['name']}-", "namespace": meta["namespace"], "labels": labels | more,
                         "ownerReferences": [owner_reference(job)]},
            "spec": template["spec"],
            "status": {"phase": "Pending", "qosClass": "Burstable"},
        }  # fmt: skip
        if self._store.clock() < self._waiting.get(meta["uid"], 0.0):
            return
        try:
            limits.admit(self._store, pod)
            quota.check(self._store, pod)
        except ApiError as error:
            self._waiting[meta["uid"]] = self._store.clock() + _AGAIN_S
            self._events.record(job, "FailedCreate", f"Error creating: {error.message}", by=_BY, warning=True)
            return
        self._waiting.pop(meta["uid"], None)
        made = self._store.create(kinds.PODS, pod)
        self._events.record(job, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}", by=_BY)

    def _history(self, cron: Obj) -> None:
        mine = [job for job in self._store.list(kinds.JOBS, cron["metadata"]["namespace"])
                if owner_uid(job) == cron["metadata"]["uid"] and _ended(job)]  # fmt: skip
        for kind, key, most in (("Complete", "successfulJobsHistoryLimit", 3), ("Failed", "failedJobsHistoryLimit", 1)):
            done = [job for job in mine if (condition(job, kind) or {}).get("status") == "True"]
            done.sort(key=lambda job: str(job["metadata"]["creationTimestamp"]))
            for job in done[: max(len(done) - cron["spec"].get(key, most), 0)]:
                self._store.delete(kinds.JOBS, job["metadata"]["namespace"], job["metadata"]["name"])

    def _orphans(self, owned: dict[str, list[Obj]]) -> None:
        """Pods of a deleted Job go with it."""
        alive = {job["metadata"]["uid"] for job in self._store.list(kinds.JOBS)}
        self._waiting = {uid: at for uid, at in self._waiting.items() if uid in alive}
        for uid, pods in owned.items():
            for pod in pods:
                refs = pod["metadata"].get("ownerReferences") or [{}]
                if refs[0].get("kind") == "Job" and uid not in alive:
                    meta = pod["metadata"]
                    if self._store.find(kinds.PODS, meta["namespace"], meta["name"]):
                        self._store.delete(kinds.PODS, meta["namespace"], meta["name"])


def _ended(job: Obj) -> bool:
    return any((condition(job, kind) or {}).get("status") == "True" for kind in ("Complete", "Failed"))


def matches(schedule: str, at: float) -> bool:
    """Whether a cron schedule of minutes and hours (numbers, ``*``, ``*/n``) is due at *at* (UTC)."""
    minute, hour = schedule.split()[:2]
    return _field(minute, int(at // 60) % 60) and _field(hour, int(at % _DAY_S // 3600))


def _field(text: str, value: int) -> bool:
    for part in text.split(","):
        base, _, step = part.partition("/")
        if (base == "*" and value % int(step or 1) == 0) or (base.isdigit() and int(base) == value):
            return True
    return False
