"""Agents: they read, think and propose; they touch neither people nor systems."""
