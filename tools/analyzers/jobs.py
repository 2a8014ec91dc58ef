"""Jobs and CronJobs: failed work, and schedules that cannot or do not run. One that succeeded after retries is healthy."""

import re
from collections.abc import Iterator

from tools.objects import (
    Condition,
    Obj,
    Objects,
    condition,
    dicts,
    event_message,
    event_time,
    found,
    meta,
    name,
    namespace,
    number,
    said,
    spec,
    status,
)
from tools.prometheus import moment

LAST = 2  # so many last runs failed: the next one will
_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES = {n: i for names, start in (("sun mon tue wed thu fri sat", 0), ("jan feb mar apr may jun jul aug sep oct nov dec", 1))
          for i, n in enumerate(names.split(), start)}  # fmt: skip
_MACROS = {"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}


def analyze(objects: Objects) -> Iterator[Condition]:
    """Return the conditions of every Job and CronJob."""
    for job in objects.all("Job"):
        yield from _job(job, objects)
    for cron in objects.all("CronJob"):
        yield from _cron_job(cron, objects)


def _job(job: Obj, objects: Objects) -> Iterator[Condition]:
    failed = condition(job, "Failed")
    if failed.get("status") == "True" or condition(job, "FailureTarget").get("status") == "True":
        if made_good(job, objects):
            return
        why = said(failed or condition(job, "FailureTarget"), "failed")
        yield found(job, "job_failed", f"{why} ({number(status(job).get('failed'))} failed pods)",
                    "read the log of its last pod; mend it and run the Job again", "critical",
                    moment(failed.get("lastTransitionTime")))  # fmt: skip
        return
    if condition(job, "Complete").get("status") == "True":
        return
    if spec(job).get("suspend") and not _queued(job):
        yield found(
            job,
            "job_suspended",
            "suspend is true: it starts no pods",
            "set spec.suspend to false when it should run",
        )
    for event in objects.events(job)[-1:]:
        if event.get("reason") in {"FailedCreate", "BackoffLimitExceeded", "DeadlineExceeded"}:
            yield found(job, "job_failed", f"{event['reason']}: {event_message(event)}",
                        "read the event and the log of its last pod", "critical", event_time(event))  # fmt: skip
    limit = number(spec(job).get("backoffLimit"), 6)
    if (
        not dicts(status(job).get("conditions"))
        and number(status(job).get("failed")) > limit
        and not status(job).get("active")
    ):
        yield found(job, "job_failed", f"BackoffLimitExceeded: {status(job)['failed']} failed pods, limit {limit}",
                    "read the log of its last pod; mend it and run the Job again", "critical")  # fmt: skip


def _queued(job: Obj) -> bool:
    """Whether a queue holds the Job back until there is room; that is its work."""
    return bool(spec(job).get("managedBy")) or "kueue.x-k8s.io/queue-name" in (meta(job).get("labels") or {})


def made_good(job: Obj, objects: Objects) -> bool:
    """Whether a later run of the same CronJob succeeded: the failed one is then only kept for its log."""
    crons = {ref.get("name") for ref in dicts(meta(job).get("ownerReferences")) if ref.get("kind") == "CronJob"}
    began = moment(meta(job).get("creationTimestamp"))
    if not crons or began is None:
        return False
    return any(
        (at := moment(meta(other).get("creationTimestamp"))) is not None
        and at > began
        and condition(other, "Complete").get("status") == "True"
        and any(ref.get("kind") == "CronJob" and ref.get("name") in crons for ref in dicts(meta(other).get("ownerReferences")))
        for other in objects.in_namespace("Job", namespace(job))
    )  # fmt: skip


def _cron_job(cron: Obj, objects: Objects) -> Iterator[Condition]:
    inner = spec(cron)
    schedule = str(inner.get("schedule") or "")
    problem = _schedule_problem(schedule)
    if problem:
        yield found(cron, "invalid_schedule", f"schedule {schedule!r}: {problem}",
                    "write five fields: minute hour day-of-month month day-of-week", "critical")  # fmt: skip
    if number(inner.get("startingDeadlineSeconds")) < 0:
        yield found(cron, "negative_deadline", f"startingDeadlineSeconds is {inner['startingDeadlineSeconds']}: no run can start in time",
                    "set it to a positive number of seconds or leave it out", "critical")  # fmt: skip
    if inner.get("suspend"):
        yield found(
            cron,
            "cronjob_suspended",
            "suspend is true: no run will start",
            "set spec.suspend to false when it should run",
            "note",
        )
        return
    yield from _last_runs(cron, objects)


def _last_runs(cron: Obj, objects: Objects) -> Iterator[Condition]:
    runs = [job for job in objects.in_namespace("Job", namespace(cron))
            if any(ref.get("kind") == "CronJob" and ref.get("name") == name(cron) for ref in dicts(meta(job).get("ownerReferences")))]  # fmt: skip
    ended = [job for job in runs if {c.get("type") for c in dicts(status(job).get("conditions")) if c.get("status") == "True"}
             & {"Complete", "Failed", "SuccessCriteriaMet"}]  # fmt: skip
    ended.sort(key=lambda job: str(meta(job).get("creationTimestamp") or status(job).get("startTime") or ""))
    bad = 0
    for job in reversed(ended):
        if condition(job, "Failed").get("status") != "True":
            break
        bad += 1
    if bad >= min(LAST, len(ended)) and bad:
        yield found(cron, "last_runs_failed", f"its last {bad} run{'s' if bad > 1 else ''} failed: {said(condition(ended[-1], 'Failed'))}",
                    f"read the log of Job {name(ended[-1])}", "critical" if bad >= LAST else "warning")  # fmt: skip


def _schedule_problem(schedule: str) -> str:
    """Return what is wrong with a cron schedule as Kubernetes reads it, "" when nothing is."""
    text = re.sub(r"^(?:CRON_TZ|TZ)=\S+\s+", "", schedule.strip())
    if text in _MACROS or re.fullmatch(r"@every \d+(?:\.\d+)?(?:ns|us|ms|s|m|h)(?:\d+(?:s|m|h))*", text):
        return ""
    fields = text.split()
    if len(fields) != len(_FIELDS):
        return f"has {len(fields)} fields and not 5"
    for field, (low, high) in zip(fields, _FIELDS, strict=True):
        for part in field.split(","):
            if not _part_fits(part, low, high):
                return f"{part!r} is not within {low}-{high}"
    return ""


def _part_fits(part: str, low: int, high: int) -> bool:
    base, slash, step = part.partition("/")
    if slash and (not step.isdigit() or int(step) == 0):
        return False
    if base in {"*", "?"}:
        return True
    first, dash, last = base.partition("-")
    ends = [_NAMES.get(end.lower(), int(end) if end.isdigit() else -1) for end in ((first, last) if dash else (first,))]
    return all(low <= end <= high for end in ends) and ends == sorted(ends)
