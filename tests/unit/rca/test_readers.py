"""Recorded days and sets as other people lay them out: packed, cut, renamed, in other zones, with parts missing."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from agents.rca.fuse import rank
from bot.__main__ import app
from bot.eval import nezha, nezha_minutes
from bot.eval.nezha_minutes import minutes
from bot.eval.nezha_names import service_of
from bot.eval.read import read
from tests.unit.rca.test_datasets import POD, nezha_day, petshop_set


def packed(path: Path) -> None:
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def test_a_day_as_it_lies_in_the_repository_is_read_with_its_healthy_minutes_and_packed_files(tmp_path: Path) -> None:
    day = nezha_day(tmp_path / "rca_data")
    healthy = tmp_path / "construct_data" / day.name
    for kind in ("log", "trace"):
        (healthy / kind).mkdir(parents=True)
        known = day / kind / f"04_01_{kind}.csv"
        (healthy / kind / f"03_51_{kind}.csv").write_text(known.read_text())
        packed(known)
    (healthy / "metric").mkdir()
    table = day / "metric" / f"{POD}_metric.csv"
    earlier = table.read_text().replace(" 03:", " 02:").replace(" 04:", " 02:")
    (healthy / "metric" / table.name.replace("fnmft", "aaaa2")).write_text(earlier)
    packed(table)
    packed(day / f"{day.name}-fault_list.json")
    for given in (tmp_path, tmp_path / "rca_data", day):
        (case,) = read(given)
        assert case.incident.lines is not None
        assert case.incident.lines.normal.tolist() == [True, False]
        assert case.incident.spans is not None
        (cpu,) = (one for one in case.incident.series if (one.service, one.metric) == ("ad-service", "CpuUsage(m)"))
        assert cpu.times.size == 2 * 34 - 1  # one pod after the other, less the minute past the window
        assert (np.diff(cpu.times) > 0).all()


@pytest.mark.parametrize(
    ("fault", "at"),
    [
        ({"inject_time": "2022-08-22T04:00:00Z"}, 1661140800.0),
        ({"inject_time": "2022-08-22 12:00:00"}, 1661140800.0),  # a local clock of UTC+8
        ({"inject_time": "2022-08-22 12:00:00 +0800"}, 1661140800.0),
        ({"inject_timestamp": 1661140800}, 1661140800.0),
        ({"inject_timestamp": "1661169600"}, 1661140800.0),
    ],
)
def test_a_faults_time_is_read_in_whatever_zone_it_was_written(
    tmp_path: Path, fault: dict[str, object], at: float
) -> None:
    day = nezha_day(tmp_path)
    (day / f"{day.name}-fault_list.json").write_text(json.dumps([{**fault, "inject_pod": "ns/AdService"}]))
    (case,) = nezha.read_day(day)
    assert (case.culprit, case.incident.at) == ("ad-service", at)


def test_one_bad_file_is_named_and_the_rest_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day = nezha_day(tmp_path)
    (day / "metric" / "bad-5f6585d649-fnmft_metric.csv").write_text("Time,Cpu\nsoon,1\n")
    (day / "metric" / "cut-5f6585d649-fnmft_metric.csv.gz").write_bytes(b"\x1f\x8b\x08")
    (day / "metric" / "source_50.csv").write_text("")
    (day / "trace" / "04_00_trace.csv").write_text("TraceID,When\n1,2\n")
    (day / "log" / "04_00_log.csv").write_text("")
    (tmp_path / "2022-08-24" / "metric").mkdir(parents=True)
    (tmp_path / "2022-08-24" / "x-fault_list.json").write_text("{")
    (case,) = read(tmp_path)
    assert rank(case.incident).suspects[0].service == "ad-service"
    said = capsys.readouterr().err
    for name in ("bad-5f", "cut-5f", "source_50", "04_00_trace", "04_00_log", "x-fault_list"):
        assert name in said, said
    assert "no column SpanID, ParentID" in said


def test_a_day_of_metrics_alone_is_enough(tmp_path: Path) -> None:
    day = nezha_day(tmp_path)
    shutil.rmtree(day / "log")
    shutil.rmtree(day / "trace")
    (day / "metric" / "dependency.csv").unlink()
    (case,) = read(tmp_path)
    assert (case.incident.lines, case.incident.spans) == (None, None)
    assert rank(case.incident).suspects[0].service == "ad-service"


def test_minutes_just_before_midnight_are_before(tmp_path: Path) -> None:
    for name in ("23_58_log.csv", "00_03_log.csv", "00_30_log.csv", "notes.csv"):
        (tmp_path / "log").mkdir(exist_ok=True)
        (tmp_path / "log" / name).write_text("")
    found = minutes(tmp_path, None, "log", 1661212860.0, 1661213040.0)  # 00:01
    assert [(path.name, known) for path, known in found] == [("00_03_log.csv", False), ("23_58_log.csv", False)]


def test_without_a_healthy_minute_other_minutes_of_the_day_stand_for_it(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    for name in ("04_01_log.csv", "03_40_log.csv", "05_00_log.csv"):
        (tmp_path / "log" / name).write_text("")
    found = minutes(tmp_path, None, "log", 1661140800.0, 1661140980.0)
    assert [(path.name[:5], known) for path, known in found] == [("03_40", True), ("05_00", True), ("04_01", False)]


def test_more_than_fits_in_memory_is_read_by_whole_traces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        f"t{n // 3},s{n},{f's{n - 1}' if n % 3 else 'root'},{POD},/a,{1661140805 * 10**9 + n},5" for n in range(300)
    ]
    path = tmp_path / "04_01_trace.csv"
    path.write_text("TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,Duration\n" + "\n".join(rows))
    monkeypatch.setattr(nezha_minutes, "MOST_ROWS", 30)
    spans = nezha_minutes.read_spans([(path, False)], 2e9, nezha_minutes.Names())
    assert spans is not None
    assert 0 < spans.start.size < 150
    assert (spans.parent < 0).sum() * 3 == spans.start.size
    assert "one trace in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pod", "service"),
    [
        ("cart-service-579f59597d-wc2lz", "cart-service"),
        ("hipster/frontend-579b9bff58-t2dbm", "frontend"),
        ("node-exporter-x7k2p", "node-exporter"),
        ("redis-cart-0", "redis-cart-0"),
        ("redis-nginx", "redis-nginx"),
        ("frontend", "frontend"),
    ],
)
def test_services_are_read_off_pods(pod: str, service: str) -> None:
    assert service_of(pod) == service


def test_a_petshop_set_without_a_graph_or_with_a_broken_healthy_period(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = petshop_set(tmp_path)
    (folder / "graph.csv").unlink()
    (folder / "noissue" / "metrics.csv").write_text("what?\n")
    packed(folder / "test" / "issue_0" / "metrics.csv")
    (case,) = read(tmp_path)
    assert case.culprit == "worker"
    assert not case.incident.calls
    assert capsys.readouterr().err.count("left out") == 2


@pytest.mark.parametrize("system", ["boutique", "random"])
def test_a_simulated_day_is_read_and_ranked(tmp_path: Path, system: str) -> None:
    said = CliRunner().invoke(
        app, ["eval", "simulate", str(tmp_path / "made"), "--system", system, "--faults", "2", "--seed", "5"]
    )
    assert said.exit_code == 0, said.output
    cases = read(tmp_path / "made")
    assert len(cases) == 2
    for case in cases:
        assert case.incident.lines is not None
        assert case.incident.spans is not None
        assert case.incident.lines.normal.any()
        assert case.incident.spans.normal.any()
        assert case.culprit in {one.service for one in case.incident.series}
        assert set(case.incident.spans.services) <= {one.service for one in case.incident.series}
    again = CliRunner().invoke(app, ["eval", "simulate", str(tmp_path / "made")])
    assert again.exit_code == 2
    assert "not empty" in again.output
