"""What is wrong with Kubernetes objects: one file per kind, found by tools.registry; dropping a file in registers it.

A module has ``analyze(objects: tools.objects.Objects) -> Iterator[Condition]``, pure over the API's JSON. Used by
`tocsin inspect` (tools.inspect) and tools.evidence.kubernetes. The checklist and the false alarms to avoid come from k8sgpt
(Apache-2.0) and its users. What is healthy, completed, seconds old, rolling or so on purpose is no condition; what is only
worth knowing is a note. An object that another refers to is missing only when the input listed its kind.
"""
