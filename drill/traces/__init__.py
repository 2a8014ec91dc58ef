"""What the practice services' tracing says: requests walked through the call graph, served as Jaeger and Tempo do."""
