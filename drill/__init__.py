"""The practice world: Slack, Kubernetes, Prometheus, Alertmanager and Loki on loopback, over HTTP alone."""
