"""Root-cause ranking from raw signals, with numpy and nothing else: metrics, logs, traces, topology and changes.

Called by bot/eval (recorded incidents) and bench/rank.py; signals.py holds what goes in, suspects.py what comes out.
"""
