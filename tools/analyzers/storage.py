"""Claims that wait, are lost or fill up; volumes that are left over or failed; storage classes that contradict."""

import re
from collections.abc import Iterator

from tools.objects import (
    Condition,
    Obj,
    Objects,
    dicts,
    event_message,
    event_time,
    found,
    meta,
    name,
    namespace,
    pod_spec,
    spec,
    status,
)

NEARLY_FULL = re.compile(
    r"(?i)(?:usage|used|full)\D{0,40}?(9\d|100)(?:\.\d+)? ?%|no space left|(?:nearly|almost) full|disk.?full"
)
DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
PENDING_S = 60
# In-tree provisioners that Kubernetes removed; their CSI drivers took over
DEPRECATED = {
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com", "kubernetes.io/gce-pd": "pd.csi.storage.gke.io", "kubernetes.io/azure-disk": "disk.csi.azure.com",
    "kubernetes.io/azure-file": "file.csi.azure.com", "kubernetes.io/cinder": "cinder.csi.openstack.org", "kubernetes.io/glusterfs": "none",
    "kubernetes.io/vsphere-volume": "csi.vsphere.vmware.com", "kubernetes.io/rbd": "rbd.csi.ceph.com", "kubernetes.io/portworx-volume": "pxd.portworx.com",
    "kubernetes.io/quobyte": "none", "kubernetes.io/storageos": "none", "kubernetes.io/scaleio": "none", "kubernetes.io/flocker": "none",
}  # fmt: skip


def analyze(objects: Objects) -> Iterator[Condition]:
    """Return the conditions of every PersistentVolumeClaim, PersistentVolume and StorageClass."""
    for claim in objects.all("PersistentVolumeClaim"):
        yield from _claim(claim, objects)
    for volume in objects.all("PersistentVolume"):
        yield from _volume(volume)
    yield from _classes(objects)
    for pod in objects.all("Pod"):
        for each in dicts(pod_spec(pod).get("volumes")):
            called = str((each.get("persistentVolumeClaim") or {}).get("claimName") or "")
            if status(pod).get("phase") == "Pending" and objects.missing(
                "PersistentVolumeClaim", namespace(pod), called
            ):
                yield found(
                    pod,
                    "claim_missing",
                    f"PersistentVolumeClaim {called} does not exist",
                    "create the claim or correct claimName",
                    "critical",
                )


def _claim(claim: Obj, objects: Objects) -> Iterator[Condition]:
    phase = status(claim).get("phase")
    if phase == "Lost":
        yield found(claim, "claim_lost", f"Lost: its volume {spec(claim).get('volumeName') or ''} is gone".replace("  ", " "),
                    "restore the data and make a new claim", "critical")  # fmt: skip
    elif phase == "Pending":
        yield from _pending(claim, objects)
    for event in objects.events(claim)[-3:]:
        if NEARLY_FULL.search(event_message(event)) and phase == "Bound":
            yield found(
                claim,
                "nearly_full",
                event_message(event),
                "free room or enlarge the claim",
                "warning",
                event_time(event),
            )
            return
    yield from _usage(claim)


def _usage(claim: Obj) -> Iterator[Condition]:
    """Return what a kubelet's or a tool's annotation says of the claim's filling; the API itself does not know it."""
    for key, value in (meta(claim).get("annotations") or {}).items():
        told = re.fullmatch(r"(\d+(?:\.\d+)?) ?%?", str(value))
        if re.search(r"(?i)usage|used.?percent|utili[sz]ation", key) and told and 90 <= float(told[1]) <= 100:
            yield found(claim, "nearly_full", f"{float(told[1]):g} % used ({key})", "free room or enlarge the claim")


def _pending(claim: Obj, objects: Objects) -> Iterator[Condition]:
    events = objects.events(claim)
    failed = [
        e
        for e in events
        if e.get("reason") in {"ProvisioningFailed", "FailedBinding", "VolumeMismatch", "ClaimMisbound"}
    ]
    called = spec(claim).get("storageClassName")
    if called and objects.missing("StorageClass", "", str(called)):
        yield found(
            claim,
            "storage_class_missing",
            f"Pending: StorageClass {called} does not exist",
            "create it or name one that exists",
            "critical",
        )
    elif failed and failed[-1].get("reason") != "FailedBinding":
        yield found(claim, "provisioning_failed", f"Pending: {failed[-1]['reason']}: {event_message(failed[-1])}",
                    "mend what the message names: the class, the driver or the room", "critical", event_time(failed[-1]))  # fmt: skip
    elif not called and not spec(claim).get("volumeName") and _no_default(objects, failed):
        yield found(claim, "no_storage_class", "Pending: it names no StorageClass and there is no default one",
                    "set storageClassName or mark a class as default", "critical")  # fmt: skip
    elif failed and not objects.younger(claim, PENDING_S):
        yield found(claim, "claim_pending", f"Pending: {failed[-1]['reason']}: {event_message(failed[-1])}",
                    "mend what the message names", "warning", event_time(failed[-1]))  # fmt: skip
    elif not _waits_for_pod(claim, objects, events):
        ago = objects.since(meta(claim).get("creationTimestamp"))
        if ago is not None and ago.total_seconds() > PENDING_S:
            yield found(
                claim,
                "claim_pending",
                f"Pending for {int(ago.total_seconds())} s",
                "look at its provisioner and its events",
            )


def _no_default(objects: Objects, failed: list[Obj]) -> bool:
    if any("no storage class is set" in event_message(e) for e in failed):
        return True
    classes = list(objects.all("StorageClass"))
    return objects.listed("StorageClass") and not any(_is_default(each) for each in classes)


def _waits_for_pod(claim: Obj, objects: Objects, events: list[Obj]) -> bool:
    """Whether the claim is bound only when a pod uses it, and none does yet."""
    if any(e.get("reason") == "WaitForFirstConsumer" for e in events[-1:]):
        return True
    used = objects.get("StorageClass", "", str(spec(claim).get("storageClassName") or ""))
    users = [p for p in objects.in_namespace("Pod", namespace(claim)) if any(
        (v.get("persistentVolumeClaim") or {}).get("claimName") == name(claim) for v in dicts(pod_spec(p).get("volumes")))]  # fmt: skip
    return used is not None and used.get("volumeBindingMode") == "WaitForFirstConsumer" and not users


def _volume(volume: Obj) -> Iterator[Condition]:
    phase = status(volume).get("phase")
    claim = spec(volume).get("claimRef") or {}
    if phase == "Failed":
        told = status(volume).get("message") or status(volume).get("reason") or "its reclamation failed"
        yield found(
            volume, "volume_failed", f"Failed: {told}", "reclaim it by hand; its data may still be there", "critical"
        )
    elif phase == "Released":
        yield found(volume, "volume_released", f"Released: its claim {claim.get('namespace', '')}/{claim.get('name', '')} is gone and its data is kept",
                    "delete the volume when the data is not needed, or clear claimRef to use it again")  # fmt: skip


def _is_default(each: Obj) -> bool:
    return any((meta(each).get("annotations") or {}).get(key) == "true" for key in DEFAULT)


def _classes(objects: Objects) -> Iterator[Condition]:
    defaults = [each for each in objects.all("StorageClass") if _is_default(each)]
    if len(defaults) > 1:
        names = ", ".join(sorted(map(name, defaults)))
        yield found(
            defaults[-1],
            "several_defaults",
            f"{len(defaults)} StorageClasses are marked as default: {names}",
            "keep the mark on one of them",
        )
    for each in objects.all("StorageClass"):
        instead = DEPRECATED.get(str(each.get("provisioner")))
        if instead:
            yield found(
                each,
                "deprecated_provisioner",
                f"provisioner {each['provisioner']} is deprecated",
                f"move to its CSI driver ({instead})",
            )
