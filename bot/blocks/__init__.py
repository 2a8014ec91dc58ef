"""What people read in Slack: pure functions from the record to Block Kit, called by bot/thread.py and bot/listeners/*.

text.py is the only place where text from outside becomes Slack markup; kit.py the only one that knows Slack's limits.
"""
