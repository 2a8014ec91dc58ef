"""Changes to a cluster, one a file; tools.registry finds them, and tools.run alone calls apply().

A plug-in is a module with ``RISK``, ``VERBS`` (API group, resource, verb: what the actor's RBAC is made of), ``Params``, and

- ``async plan(params, kube) -> Plan``: a server-side dry-run and the facts it relies on; Permanent says why not
- ``async apply(params, plan, kube, proposal_id) -> str``: compares the facts again, then writes once, stamped with the proposal's
  id; tools.deployments.TargetChanged when the target is no longer what was shown
- ``async applied(params, plan, kube, proposal_id) -> bool``: has that write happened? tools.deployments.Unclear when what is seen does not say who did it
- ``async verify(params, kube) -> (True done | False failed | None under way, why)``
- ``undo(params, plan) -> Suggestion | None``

A new change needs its verb in deploy/'s RBAC as well; a test compares.
"""
