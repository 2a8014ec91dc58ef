"""Read-only looks at the world, one a file; tools.registry finds them, so dropping a file in registers it.

A plug-in is a module with a docstring (a model reads it), ``NEEDS`` (a property of tools.sources.Sources:
"prometheus", "logs", "traces", "kube" or "topology") and
``async def collect(scope, sources) -> Evidence``, which hands its work to tools.observe. Plug-ins do not import one another.

Finding.kind, and what data carries (namespace and deployment wherever they are known):

- kubernetes: oom_killed (pod, container, pods, limit, restarts), crash_loop (exit_code, restarts), image_pull (image, reason),
  config_error (reason), unschedulable, not_ready, evicted, probe_failing (count), restarted (exit_code), rollout_stuck
  (reason), replicas_short (available, desired), no_endpoints (service), scaled_to_zero (by)
- kubernetes, around it (tools.surroundings; data: object, remedy): the conditions of tools.analyzers about its newest ReplicaSet,
  nodes, claims, quotas, limits, autoscaler, budgets, ingresses and network policies, by their own names
- resources: volume_full (claim, used, bytes), noisy_neighbour (service = the other workload; node, cores, of, request, limit,
  harms = the service that it slows)
- queues: queue_backlog (queue, waiting, before, growth a second)
- settings: config_changed (configmap, key, before where known, after, by)
- dns: dns_down (service = the DNS workload), and dependency_errors to it (peer, peer_namespace)
- changes: template_edited (cronjob, by, changes), rollout (revision, previous_revision, what, before, after, age_s, changes), scaled (from, to, age_s, by),
  restarted (age_s); age_s is seconds before the alert's start, negative after it
  also node_changed (node, what, runs_here), autoscaled (autoscaler, maximum, message), delivered (tool = Helm | Argo CD | Flux ...,
  name, before, after); rollout carries commits and compare where the image's repository is configured
- metrics: metric_shift (signal = rate | errors | latency | saturation | resource, before, after, unit, ratio, ongoing; usual = when the
  same hour did so before, "" for never), alert_value
  (value, threshold, op, crossed, firing; low, usual, high and held (share of time) before the alert; ended), dependency_errors (peer, ratio, before)
- logs: log_template (template, count, new, level, example, peer where a connection error names one, ratio)
- traces: span_slow (operation, before and after in seconds of its own, ratio, share of all added time, took in words, count, trace), span_error
  (operation, message, count, ratio of failing traces, before, trace), dependency_errors (peer: calls that fail without an
  error of the callee's own), calls (caller, callee, count, before, after in seconds, failing; score 0 is plain topology, with
  a score and a peer the caller waits for the slow step through it)
- topology: calls (caller, callee, provenance: who says so; per_s and failing where it is measured), score always 0

Finding.at is when it began or happened. Finding.service is whom the fact is about: a neighbour's fact has its name.
"""
