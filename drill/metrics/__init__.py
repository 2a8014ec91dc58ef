"""Series that follow from the practice cluster, and the Prometheus and Alertmanager APIs over them."""
