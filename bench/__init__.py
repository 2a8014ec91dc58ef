"""What docs/performance.md is made by, and the demo walked by a browser; run as `python -m bench.<name>`."""
