"""Finding one container of a Deployment's template, for the changes to it (set_image, set_resources of tools.actions)."""

from typing import Annotated

from pydantic import Field

from tools.deployments import Obj, Refused

ContainerName = Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$")]


def find(deployment: Obj, name: str) -> tuple[int, Obj]:
    """Return the container's place and itself; *name* "" means the only one. Refused says which there are."""
    containers = (deployment["spec"]["template"].get("spec") or {}).get("containers") or []
    found = [pair for pair in enumerate(containers) if not name or pair[1].get("name") == name]
    if len(found) != 1:
        have = ", ".join(str(each.get("name")) for each in containers) or "none"
        asked = f"has no container {name}" if name else "has more than one container; name one"
        raise Refused(f"{deployment['metadata'].get('name')} {asked}; it has {have}")
    place, container = found[0]
    return int(place), dict(container)
