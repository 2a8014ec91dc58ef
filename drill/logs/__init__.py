"""Log lines that the practice services write, and the Loki API over them."""
