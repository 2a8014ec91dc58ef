"""Recorded incidents with a known culprit: readers of their formats, baselines and the scores of a ranking.

Called by bot/commands/eval.py and bench/rank.py. Reading files is I/O, so it is here and not in agents/rca.
"""
