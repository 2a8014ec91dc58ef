"""Who may decide which change, when and how often: the policy's rules read, applied and checked; for bot/approvals and bot/commands."""
