"""Builds kube-apiserver and kube-controller-manager from Debian's source package, once, into a cache outside the tree.

``python -m tests.cluster.build`` (make test-cluster, make test) prints the folder; the suite only looks into it. Nobody ships
these programs as packages. A build takes about five minutes on two cores and 4 GB of disk, of which 220 MB are kept.
"""

import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("kube-apiserver", "kube-controller-manager")
_NEEDED = {"dpkg-source": "dpkg-dev", "rsync": "rsync", "jq": "jq", "make": "make", "apt-get": "apt"}
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class CannotBuild(Exception):
    """Why there is no API server to run against; the text says what to do."""


def cache() -> Path:
    """Return where the programs are kept: $XDG_CACHE_HOME/tocsin, or ~/.cache/tocsin."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tocsin"


def folder() -> Path:
    """Return this machine's folder: programs of another Debian release or processor are not taken for ours."""
    known = platform.freedesktop_os_release()
    return cache() / f"kubernetes-{known.get('ID', 'linux')}-{known.get('VERSION_ID', '0')}-{platform.machine()}"


def built() -> Path | None:
    """Return the folder when every program is there (and etcd, which comes as a package), else None."""
    here = folder()
    return here if shutil.which("etcd") and all(os.access(here / name, os.X_OK) for name in PROGRAMS) else None


def why_not() -> str:
    """Return what the last attempt to build came to, for those who are skipped; "" when there was none."""
    note = cache() / "kubernetes-build.reason"
    return note.read_text().strip() if note.exists() else ""


def ensure() -> Path:
    """Return the folder, built now unless it is there; of two callers at once the second waits for the first."""
    here = built()
    if here is not None:
        return here
    cache().mkdir(parents=True, exist_ok=True)
    with _lock(cache() / "kubernetes.lock"):
        return built() or _build()


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # released by the kernel when a build is killed
        yield


def _build() -> Path:
    if shutil.which("etcd") is None:
        raise CannotBuild("etcd is missing: install Debian's package etcd-server (`make test-deps` does)")
    go = _compiler()
    for left in cache().glob("building-*"):  # of a build that was killed; we hold the lock
        shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix="building-", dir=cache()))
    log = cache() / "kubernetes-build.log"
    try:
        with log.open("wb") as out:
            tree = _source(work, out)
            _make(tree, work, go, out)
        done = work / "done"
        done.mkdir()
        for name in PROGRAMS:
            shutil.copy2(tree / "_output" / "bin" / name, done / name)
        shutil.rmtree(folder(), ignore_errors=True)
        done.rename(folder())  # all or nothing
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotBuild(f"the build of {' and '.join(PROGRAMS)} failed: {error}; see {log}") from error
    finally:
        subprocess.run(["chmod", "-R", "u+w", work], check=False)  # Go's module cache is read-only
        shutil.rmtree(work, ignore_errors=True)
    return folder()


def _compiler() -> Path:
    missing = [package for program, package in _NEEDED.items() if shutil.which(program) is None]
    go = next((p for p in (Path("/usr/lib/go-1.19/bin/go"),) if p.exists()), None)
    if go is None or missing:
        wanted = " ".join([*missing, *([] if go else ["golang-1.19-go"])])
        raise CannotBuild(
            f"to build a real API server, install these Debian packages: {wanted} (`make test-deps` does)"
        )
    return go


def _source(work: Path, out: object) -> Path:
    """Fetch and unpack the source package through apt, with source lists of our own beside the machine's."""
    lists = work / "apt"
    (lists / "lists" / "partial").mkdir(parents=True)
    (lists / "sources.list").write_text("".join(_source_lines()))
    apt = [
        "apt-get", "-q", "-o", f"Dir::Etc::SourceList={lists / 'sources.list'}", "-o", "Dir::Etc::SourceParts=-",
        "-o", f"Dir::State::Lists={lists / 'lists'}", "-o", f"Dir::Cache={lists}", "-o", "APT::Sandbox::User=",
    ]  # fmt: skip
    _run([*apt, "update"], work, out)
    _run([*apt, "source", "kubernetes"], work, out)
    tree = next((path for path in work.glob("kubernetes-*") if (path / "cmd" / "kube-apiserver").is_dir()), None)
    if tree is None:
        raise OSError("this release's source package `kubernetes` holds no cmd/kube-apiserver")
    return tree


def _source_lines() -> Iterator[str]:
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages"]
    found = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.splitlines()
    signed = f" [signed-by={_KEYRING}]" if _KEYRING.exists() else ""
    for line in sorted({line for line in found if len(line.split()) == 3 and "debian" in line}):
        yield f"deb-src{signed} {line}\n"


def _make(tree: Path, work: Path, go: Path, out: object) -> None:
    upstream = tree.name.removeprefix("kubernetes-").rpartition("really")[2]
    major, minor = upstream.split(".")[:2]
    version = work / "version"
    version.write_text(
        "KUBE_GIT_COMMIT='debian'\nKUBE_GIT_TREE_STATE='archive'\n"
        f"KUBE_GIT_VERSION='v{upstream}'\nKUBE_GIT_MAJOR='{major}'\nKUBE_GIT_MINOR='{minor}'\n"
    )
    env = os.environ | {
        "PATH": f"{go.parent}:{os.environ.get('PATH', '')}", "GOPATH": str(work / "gopath"), "GOFLAGS": "",
        "GOCACHE": str(work / "gocache"), "GOPROXY": "off", "GOTOOLCHAIN": "local", "GO111MODULE": "off",
        "KUBE_GIT_VERSION_FILE": str(version), "KUBE_VERBOSE": "1",
    }  # fmt: skip
    _run(["make", f"WHAT={' '.join(f'cmd/{name}' for name in PROGRAMS)}"], tree, out, env)


def _run(command: list[str], cwd: Path, out: object, env: dict[str, str] | None = None) -> None:
    subprocess.run(command, cwd=cwd, env=env, check=True, stdin=subprocess.DEVNULL, stdout=out, stderr=out)  # type: ignore[call-overload]


def main() -> int:
    """Print the folder; 3 and the reason on stderr when there is none and none can be built."""
    if built() is None:
        sys.stderr.write("Building a real API server from Debian's source package (once, about five minutes) ...\n")
    reason = cache() / "kubernetes-build.reason"
    try:
        sys.stdout.write(f"{ensure()}\n")
        reason.unlink(missing_ok=True)
    except CannotBuild as error:
        reason.write_text(str(error))
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
