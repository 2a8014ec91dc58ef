"""Where no API server can be built, the reason names what is missing and what to do."""

import fcntl
import shutil
from pathlib import Path

import pytest

from tests.cluster import build


@pytest.fixture
def cold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TOCSIN_KUBERNETES", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_without_etcd(cold: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", str(cold))
    assert build.main() == 3
    assert "install Debian's package etcd-server" in capsys.readouterr().err
    assert "etcd-server" in build.why_not()


def test_without_the_packages_that_build(cold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cold / "bin").mkdir()
    (cold / "bin" / "etcd").symlink_to(shutil.which("true") or "")
    monkeypatch.setenv("PATH", str(cold / "bin"))
    with pytest.raises(build.CannotBuild, match="install these Debian packages: dpkg-dev apt"):
        build.ensure()
    assert list(cold.glob("tocsin/building-*")) == []


def test_a_folder_that_is_named_must_hold_both_programs(cold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_KUBERNETES", str(cold))
    assert build.built() is None
    with pytest.raises(
        build.CannotBuild, match=r"TOCSIN_KUBERNETES.* lacks one of kube-apiserver, kube-controller-manager"
    ):
        build.ensure()


@pytest.mark.usefixtures("cold")
def test_a_full_disk_is_said_before_the_build() -> None:
    if (
        shutil.which("etcd") is None
        or shutil.which("dpkg-source") is None
        or not Path("/usr/lib/go-1.19/bin/go").exists()
    ):
        pytest.skip("the packages that build are not installed")
    with pytest.raises(build.CannotBuild, match=r"MB free, .* are needed: set XDG_CACHE_HOME"):
        build.ensure(disk_bytes=2**62)


def test_a_build_that_hangs_elsewhere_is_not_waited_for_forever(cold: Path) -> None:
    (cold / "tocsin").mkdir()
    with (cold / "tocsin" / "kubernetes.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(build.CannotBuild, match=r"another build holds .*kubernetes\.lock"):
            build.ensure(wait_s=0.0)
