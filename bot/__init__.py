"""Tocsin, the part that touches people: Slack, HTTP, the command line, and the composition root."""
