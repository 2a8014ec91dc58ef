"""Drills as data: one YAML file each, read by the world."""
