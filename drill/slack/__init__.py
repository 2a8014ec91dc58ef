"""A small Slack that speaks the real protocol; drill.app and the tests start it, a browser and any Bolt app use it."""

from drill.slack.workspace import Workspace

__all__ = ["Workspace"]
