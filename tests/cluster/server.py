"""Runs etcd, kube-apiserver and kube-controller-manager on loopback for one test run; used by conftest.py.

Everything lives in one temporary folder and on free ports, and ends with the context, whatever happened in it.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

START_S = 90.0
_ADMIN_GROUP = "system:masters"


class DidNotStart(Exception):
    """A program ended or was not ready in time; the text ends with the last lines it wrote."""


@contextlib.contextmanager
def running(programs: Path) -> Iterator[Path]:
    """Start the three from *programs* (etcd from PATH); yields the kubeconfig of an administrator."""
    folder = Path(tempfile.mkdtemp(prefix="tocsin-cluster-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        ports = _free_ports(3)
        etcd = f"http://127.0.0.1:{ports[0]}"
        started = [stack.enter_context(_started(folder, "etcd", _etcd(folder, etcd, ports[1])))]
        admin = _credentials(folder, ports[2])
        server = [str(programs / "kube-apiserver"), *_apiserver(folder, etcd, ports[2])]
        started.append(stack.enter_context(_started(folder, "kube-apiserver", server)))
        _ready(folder, ports[2], started)
        manager = [str(programs / "kube-controller-manager")]
        manager += _controller_manager(folder, admin, old=_version(manager[0]) < 24)
        stack.enter_context(_started(folder, "kube-controller-manager", manager))
        yield admin


def _etcd(folder: Path, url: str, peer: int) -> list[str]:
    other = f"http://127.0.0.1:{peer}"
    return [
        "etcd", f"--data-dir={folder / 'etcd'}", f"--listen-client-urls={url}", f"--advertise-client-urls={url}",
        f"--listen-peer-urls={other}", f"--initial-advertise-peer-urls={other}", f"--initial-cluster=default={other}",
        "--unsafe-no-fsync", "--logger=zap", "--log-level=error",
    ]  # fmt: skip


def _apiserver(folder: Path, etcd: str, port: int) -> list[str]:
    return [
        f"--etcd-servers={etcd}", "--bind-address=127.0.0.1", f"--secure-port={port}", f"--cert-dir={folder / 'certs'}",
        f"--token-auth-file={folder / 'tokens.csv'}", "--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16",
        f"--service-account-key-file={folder / 'accounts.key'}", "--service-account-issuer=https://tocsin.test",
        f"--service-account-signing-key-file={folder / 'accounts.key'}", "--allow-privileged=false", "--profiling=false",
    ]  # fmt: skip


def _version(program: str) -> int:
    """Return the minor version, which says what flags it knows."""
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    return int(said.split("v1.")[1].split(".")[0])


def _controller_manager(folder: Path, kubeconfig: Path, *, old: bool) -> list[str]:
    return [
        *(["--port=0"] if old else []),
        f"--kubeconfig={kubeconfig}", "--bind-address=127.0.0.1", f"--secure-port={_free_ports(1)[0]}",
        f"--cert-dir={folder / 'manager'}", "--leader-elect=false", "--use-service-account-credentials=false",
        f"--service-account-private-key-file={folder / 'accounts.key'}", "--pvclaimbinder-sync-period=2s",
        "--horizontal-pod-autoscaler-sync-period=2s", "--controllers=*,-csrsigning,-csrapproving,-csrcleaner",
        "--kube-api-qps=200", "--kube-api-burst=400",
    ]  # fmt: skip


def _credentials(folder: Path, port: int) -> Path:
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f"{token},tocsin-test-admin,tocsin-test-admin,{_ADMIN_GROUP}\n")
    key = ["openssl", "genrsa", "-out", str(folder / "accounts.key"), "2048"]
    subprocess.run(key, check=True, capture_output=True)
    admin = folder / "admin.kubeconfig"
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(folder / "certs" / "apiserver.crt")}
    admin.touch(mode=0o600)
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}], "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
    }  # fmt: skip
    admin.write_text(json.dumps(config))
    return admin


@contextlib.contextmanager
def _started(folder: Path, name: str, command: list[str]) -> Iterator["subprocess.Popen[bytes]"]:
    if shutil.which("setpriv"):  # when the tests are killed, it ends as well
        command = ["setpriv", "--pdeathsig=KILL", *command]
    with (folder / f"{name}.log").open("wb") as log:
        # a group of its own, so that Ctrl-C reaches the tests alone and they stop it in order
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # there is nothing to keep, and an orderly end takes 12 s
        process.wait()


def _ready(folder: Path, port: int, started: "list[subprocess.Popen[bytes]]") -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if any(process.poll() is not None for process in started):
            break
        with contextlib.suppress(OSError, urllib.error.URLError, ssl.SSLError):
            trusted = ssl.create_default_context(cafile=str(folder / "certs" / "apiserver.crt"))
            with urllib.request.urlopen(f"https://127.0.0.1:{port}/readyz", timeout=2, context=trusted):
                return
        time.sleep(0.2)
    said = "\n".join((folder / f"{name}.log").read_text()[-1500:] for name in ("etcd", "kube-apiserver"))
    raise DidNotStart(f"the API server was not ready within {START_S:g} s; the last it wrote:\n{said}")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            free = stack.enter_context(socket.socket())
            free.bind(("127.0.0.1", 0))
            found.append(int(free.getsockname()[1]))
        return found
