"""Root-cause ranking from raw signals, with numpy and nothing else: metrics, logs, traces, topology and changes.

Called by bot/eval (recorded incidents), bench/rank.py and live investigations. `fuse.rank(Incident) -> Ranking` is the whole
boundary: signals.py holds what goes in (each part may be empty), suspects.py what comes out. A live caller fills
`Series(service, metric, times, values, kind)` (kind where its query says what it measures), `Lines` (flow: the trace's or
span's number, -1 where a line names none), `Spans` (failed: the status is an error), `calls` from its topology, `changes`,
`hurts` and `hurts_metric` from the alert; *at* is the alert's start and *until* now. `Ranking.onset` is found in the data.
"""
