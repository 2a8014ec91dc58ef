"""``kubectl logs``: the lines of one start of a container, with tail, since and previous; called by the API."""

from collections.abc import Mapping

from drill.cluster.container import Container
from drill.cluster.objects import ApiError, Obj
from drill.formats import stamp
from drill.logs.store import LogStore


def pod_log(logs: LogStore, containers: list[Container], pod: Obj, query: Mapping[str, str], now: float) -> str:
    """Text as the API serves it; ApiError 400 for a container that is not there or never started."""
    meta, names = pod["metadata"], [spec["name"] for spec in pod["spec"]["containers"]]
    wanted = query.get("container") or (names[0] if len(names) == 1 else "")
    if not wanted:
        message = f"a container name must be specified for pod {meta['name']}, choose one of: [{' '.join(names)}]"
        raise ApiError(400, "BadRequest", message)
    container = next((each for each in containers if each.name == wanted), None)
    if wanted not in names:
        raise ApiError(400, "BadRequest", f"container {wanted} is not valid for pod {meta['name']}")
    if container is None or not container.starts:
        why = container.waiting_reason if container else "ContainerCreating"
        image = " trying and failing to pull image" if why in ("ErrImagePull", "ImagePullBackOff") else why
        message = f'container "{wanted}" in pod "{meta["name"]}" is waiting to start: {image.strip()}'
        raise ApiError(400, "BadRequest", message)
    instance = container.instance
    if query.get("previous", "") in ("true", "1"):
        if instance < 2:
            message = f'previous terminated container "{wanted}" in pod "{meta["name"]}" not found'
            raise ApiError(400, "BadRequest", message)
        instance -= 1
    lines = [line for line in logs.of(meta["namespace"], meta["name"], wanted) if line.instance == instance]
    if query.get("sinceSeconds"):
        oldest = (now - _whole(query["sinceSeconds"], "sinceSeconds")) * 1e9
        lines = [line for line in lines if line.ns >= oldest]
    if query.get("tailLines"):
        count = _whole(query["tailLines"], "tailLines")
        lines = lines[-count:] if count else []
    stamped = query.get("timestamps", "") in ("true", "1")
    text = "".join(f"{stamp(line.ns / 1e9) + ' ' if stamped else ''}{line.text}\n" for line in lines)
    return (
        text.encode()[: _whole(query["limitBytes"], "limitBytes")].decode("utf-8", "ignore")
        if query.get("limitBytes")
        else text
    )


def _whole(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ApiError(400, "BadRequest", f"{name}: {text!r} is not a whole number") from error
