"""Kubeconfig files for the practice cluster's identities; written by drill.__main__ and by tests."""

from pathlib import Path

import yaml


def write(path: Path, url: str, token: str, user: str, *, for_kubectl: bool = False) -> Path:
    """Write one kubeconfig for *token* (mode 0600) and return its path.

    kubectl sends no credentials without TLS: *for_kubectl* puts the token into the server's path instead.
    """
    name = "drill"
    server = f"{url}/kubernetes/token/{token}" if for_kubectl else f"{url}/kubernetes"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user, "namespace": "shop"}}],
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path
