"""Heavy libraries imported by several threads at once: whole, whoever comes first (in a process that has none of them yet)."""

import subprocess
import sys
from pathlib import Path

# Without the lock, each run of this ends in "cannot import name ... from partially initialized module".
RACE = """
import threading
from tools.imports import load

together, problems = threading.Barrier(4), []

def go(*names):
    together.wait()
    try:
        load(*names)
    except ImportError as error:
        problems.append(error)

ends = [
    ("requests.utils", "requests"),
    ("prometheus_api_client", "requests"),
    ("kubernetes.client", "kubernetes.config"),
    ("requests.auth", "requests.exceptions"),
]
threads = [threading.Thread(target=go, args=names) for names in ends]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(problems)
"""


def test_threads_that_import_one_package_from_different_ends_all_get_it_whole():
    ran = subprocess.run(
        [sys.executable, "-c", RACE], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
