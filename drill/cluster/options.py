"""What stands beside the object in a request: dry-run, DeleteOptions, which log; and the answers about it. Called by the API."""

from dataclasses import dataclass

from drill.cluster import kinds
from drill.cluster.objects import ApiError, Kind, Obj, bad_option

_OPTIONS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}
_POLICIES = ("Orphan", "Background", "Foreground")
_RETURNED = (kinds.NAMESPACES, kinds.PODS, kinds.SERVICES, kinds.CLAIMS, kinds.VOLUMES, kinds.SERVICEACCOUNTS)


def dry_run(values: list[str], verb: str) -> bool:
    """Whether nothing is to be stored; ApiError 422 for another word than All."""
    if any(value != "All" for value in values):
        raise bad_option(
            _OPTIONS.get(verb, "DeleteOptions"), "dryRun", f'Unsupported value: {values}: supported values: "All"'
        )
    return bool(values)


@dataclass(frozen=True)
class Deletion:
    """DeleteOptions: seconds of *grace* (None: the object's own), and *only* under these preconditions."""

    grace: float | None = None
    dry_run: bool = False
    only: Obj | None = None

    @classmethod
    def of(cls, given: Obj) -> "Deletion":
        """Read the options; ApiError 422 for what makes no sense."""
        dry = dry_run(list(given.get("dryRun") or []), "delete")
        policy = given.get("propagationPolicy")
        if policy and policy not in _POLICIES:
            raise bad_option(
                "DeleteOptions", "propagationPolicy", f'Unsupported value: "{policy}": supported values: {_POLICIES}'
            )
        grace = given.get("gracePeriodSeconds")
        return cls(None if grace is None else float(grace), dry, given.get("preconditions"))


def returned(kind: Kind) -> bool:
    """Whether a DELETE of that kind is answered with the object; others with a Status once they are gone."""
    return kind in _RETURNED


def success(kind: Kind, gone: Obj) -> Obj:
    """Return the Status of a deletion."""
    details = {
        "name": gone["metadata"]["name"],
        "group": kind.group,
        "kind": kind.plural,
        "uid": gone["metadata"]["uid"],
    }
    details = {key: value for key, value in details.items() if value}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def not_allowed() -> ApiError:
    """405 as the API server words it."""
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def check_log(pod: Obj, container: str) -> None:
    """Raise ApiError 400 unless it is clear which container's log is meant."""
    name, known = pod["metadata"]["name"], [each["name"] for each in pod["spec"]["containers"]]
    if container and container not in known:
        raise ApiError(400, "BadRequest", f"container {container} is not valid for pod {name}")
    if not container and len(known) > 1:
        said = f"a container name must be specified for pod {name}, choose one of: [{' '.join(known)}]"
        raise ApiError(400, "BadRequest", said)
