"""The bodies of the commands, one file each; bot/__main__.py imports them when they run, so they may import anything."""
