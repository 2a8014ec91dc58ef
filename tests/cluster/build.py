"""Builds kube-apiserver and kube-controller-manager from Debian's source package, once, into a cache outside the tree.

``python -m tests.cluster.build`` (make test-cluster, make test) prints the folder; the suite only looks into it. Nobody ships
these programs as packages. A build takes three to four minutes on two cores and up to 4 GB of disk, of which 210 MB are kept.
``--background`` starts it with the lowest priority and returns. $TOCSIN_KUBERNETES names a folder with programs of another version.
"""

import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("kube-apiserver", "kube-controller-manager")
_PACKAGE = "k8s.io/kubernetes"
_NEEDED = {"dpkg-source": "dpkg-dev", "apt-get": "apt"}
BUILD_S = 1800.0  # for all of it, and for the wait for somebody else's
DISK_BYTES = 4 * 2**30
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class CannotBuild(Exception):
    """Why there is no API server to run against; the text says what to do."""


def cache() -> Path:
    """Return where the programs are kept: $XDG_CACHE_HOME/tocsin, or ~/.cache/tocsin."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tocsin"


def folder() -> Path:
    """Return this machine's folder: programs of another Debian release or processor are not taken for ours."""
    if os.environ.get("TOCSIN_KUBERNETES"):
        return Path(os.environ["TOCSIN_KUBERNETES"])
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


def ensure(wait_s: float = BUILD_S, disk_bytes: int = DISK_BYTES) -> Path:
    """Return the folder, built now unless it is there; of two callers at once the second waits *wait_s* for the first."""
    here = built()
    if here is not None:
        return here
    if os.environ.get("TOCSIN_KUBERNETES"):
        raise CannotBuild(f"{here} (of $TOCSIN_KUBERNETES) lacks one of {', '.join(PROGRAMS)}, or etcd is missing")
    cache().mkdir(parents=True, exist_ok=True)
    with _lock(cache() / "kubernetes.lock", wait_s):
        return built() or _build(disk_bytes)


@contextmanager
def _lock(path: Path, wait_s: float) -> Iterator[None]:
    with path.open("w") as handle:
        until, told = time.monotonic() + wait_s, False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released by the kernel when a build is killed
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise CannotBuild(f"another build holds {path} for more than {wait_s:g} s: look for it") from error
                if not told:
                    sys.stderr.write("Another build is under way; waiting for it ...\n")
                told = True
                time.sleep(1)
        yield


def _build(disk_bytes: int) -> Path:
    if shutil.which("etcd") is None:
        raise CannotBuild("etcd is missing: install Debian's package etcd-server (`make test-deps` does)")
    go = _compiler()
    free = shutil.disk_usage(cache()).free
    if free < disk_bytes:
        raise CannotBuild(
            f"{cache()} has {free >> 20} MB free, {disk_bytes >> 20} are needed: set XDG_CACHE_HOME elsewhere"
        )
    for left in cache().glob("building-*"):  # of a build that was killed; we hold the lock
        shutil.rmtree(left, ignore_errors=True)
    work = Path(tempfile.mkdtemp(prefix="building-", dir=cache()))
    log = cache() / "kubernetes-build.log"
    try:
        with log.open("wb") as out:
            done = _make(_source(work, out), work, go, out)
        shutil.rmtree(folder(), ignore_errors=True)
        done.rename(folder())  # all or nothing
    except (OSError, subprocess.SubprocessError) as error:
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


def _make(tree: Path, work: Path, go: Path, out: object) -> Path:
    """Compile; the makefile's generators are passed over, since all they make but one file comes with the source."""
    place = work / "gopath" / "src" / _PACKAGE
    place.parent.mkdir(parents=True)
    tree.rename(place)
    done = work / "done"
    done.mkdir()
    env = os.environ | {
        "PATH": f"{go.parent}:{os.environ.get('PATH', '')}", "GOPATH": str(work / "gopath"), "GOFLAGS": "", "GOPROXY": "off",
        "GOCACHE": str(work / "gocache"), "GOTOOLCHAIN": "local", "GO111MODULE": "off", "CGO_ENABLED": "0",
    }  # fmt: skip
    build = [str(go), "build", "-gcflags=all=-dwarf=false"]
    generator = work / "openapi-gen"
    _run([*build, "-o", str(generator), "./vendor/k8s.io/kube-openapi/cmd/openapi-gen"], place, out, env)
    schemas = [
        str(generator), "-i", ",".join(sorted(_described(place))), "-p", f"{_PACKAGE}/pkg/generated/openapi",
        "-O", "zz_generated.openapi", "-h", "hack/boilerplate/boilerplate.generatego.txt", "-r", os.devnull,
        "--output-base", str(work / "gopath" / "src"),
    ]  # fmt: skip
    _run(schemas, place, out, env)
    named = f"-s -w {_version(tree.name)}"
    _run([*build, f"-ldflags={named}", "-o", str(done), *(f"./cmd/{name}" for name in PROGRAMS)], place, out, env)
    return done


def _described(place: Path) -> Iterator[str]:
    """The packages whose types the API server describes to its clients, and needs itself for server-side apply."""
    roots = [(place / "pkg", "pkg"), (place / "cmd", "cmd"), (place / "plugin", "plugin")]
    roots += [(each, f"vendor/k8s.io/{each.name}") for each in (place / "staging" / "src" / "k8s.io").iterdir()]
    for root, path in roots:
        if not root.is_dir() or root.name in ("code-generator", "sample-apiserver"):
            continue
        for file in root.rglob("*.go"):
            if "testdata" not in file.parts and b"+k8s:openapi-gen=" in file.read_bytes():
                yield f"{_PACKAGE}/{path}/{file.parent.relative_to(root)}".removesuffix("/.")


def _version(folder_name: str) -> str:
    """Return the linker's flags that make the programs say their version."""
    upstream = folder_name.removeprefix("kubernetes-").rpartition("really")[2]
    major, minor = upstream.split(".")[:2]
    said = {"gitVersion": f"v{upstream}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "archive",
            "gitCommit": "debian"}  # fmt: skip
    places = (f"{_PACKAGE}/vendor/k8s.io/component-base/version", f"{_PACKAGE}/vendor/k8s.io/client-go/pkg/version")
    return " ".join(f"-X {place}.{key}={value}" for place in places for key, value in said.items())


def _run(command: list[str], cwd: Path, out: object, env: dict[str, str] | None = None) -> None:
    subprocess.run(
        command, cwd=cwd, env=env, check=True, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=BUILD_S
    )  # type: ignore[call-overload]


def start() -> None:
    """Begin to build in the background with the lowest priority, unless there is nothing to do."""
    if built() is None:
        command = ["nice", "-n", "19", sys.executable, "-m", "tests.cluster.build"]
        quiet = subprocess.DEVNULL  # the log and the reason are files
        subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)


def main() -> int:
    """Print the folder; 3 and the reason on stderr when there is none and none can be built."""
    reason = cache() / "kubernetes-build.reason"
    try:
        if built() is None:
            sys.stderr.write("Building a real API server from Debian's source package (once, about four minutes) ...\n")
        sys.stdout.write(f"{ensure()}\n")
        reason.unlink(missing_ok=True)
    except CannotBuild as error:
        cache().mkdir(parents=True, exist_ok=True)
        reason.write_text(str(error))
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--background"]:
        start()
    else:
        sys.exit(main())
