"""One file per kind of Slack request, each with `register(app, desk)`; found by folder from bot/slack.py.

A listener reads the request, asks the desk, and answers. What decides something is durable before Slack gets its answer.
"""
