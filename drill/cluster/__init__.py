"""An in-memory Kubernetes whose pods behave as their spec says."""
