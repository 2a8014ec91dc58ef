"""x."""
def main() -> None:
    """x."""
    print("hi")
