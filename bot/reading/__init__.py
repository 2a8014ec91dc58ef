"""How alerts are read, whoever sent them: words, times, labels, JSON walked by meaning, Slack messages as text.

bot/sources/* build on it; bot/parsing.py turns what they found into alerts. Everything is pure.
"""
