"""Requests are counted by route, method and status, each series from zero, and never by what a client made up."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from labserver.api.metrics import DURATION_BUCKETS, REFUSAL_REASONS, HttpMetrics
from labserver.monitor.prometheus import BulkHistogram, exposition, new_registry

LABELS = {"route": "/v1/predictions", "method": "POST", "status": "200"}


@pytest.fixture
def registry() -> CollectorRegistry:
    return new_registry()


@pytest.fixture
def http(registry: CollectorRegistry) -> HttpMetrics:
    return HttpMetrics(registry)


def test_expected_series_exist_at_zero(http: HttpMetrics, registry: CollectorRegistry) -> None:
    http.expect([("/v1/predictions", "POST", [200, 503])])
    assert registry.get_sample_value("http_request_duration_seconds_count", LABELS) == 0
    assert registry.get_sample_value("http_request_duration_seconds_bucket", LABELS | {"le": "0.0005"}) == 0
    assert registry.get_sample_value("http_requests_in_flight") == 0
    assert all(
        registry.get_sample_value("requests_rejected_total", {"reason": reason}) == 0 for reason in REFUSAL_REASONS
    )


def test_a_request_is_in_flight_until_it_is_finished(http: HttpMetrics, registry: CollectorRegistry) -> None:
    http.started(traffic=True)
    http.started(traffic=True)
    assert registry.get_sample_value("http_requests_in_flight") == 2
    http.finished("/v1/predictions", "POST", 200, 0.0007, traffic=True)
    http.finished("/v1/predictions", "POST", 200, 0.002, traffic=True)
    http.flush()
    assert registry.get_sample_value("http_requests_in_flight") == 0
    assert registry.get_sample_value("http_request_duration_seconds_count", LABELS) == 2
    assert registry.get_sample_value("http_request_duration_seconds_sum", LABELS) == pytest.approx(0.0027)
    assert registry.get_sample_value("http_request_duration_seconds_bucket", LABELS | {"le": "0.001"}) == 1


def test_a_made_up_method_is_no_label_of_its_own(http: HttpMetrics, registry: CollectorRegistry) -> None:
    for number in range(100):
        http.started(traffic=True)
        http.finished("unmatched", f"M{number}", 405, 0.001, traffic=True)
    http.flush()
    labels = {"route": "unmatched", "method": "other", "status": "405"}
    assert registry.get_sample_value("http_request_duration_seconds_count", labels) == 100


def test_refusals_are_counted_by_reason(http: HttpMetrics, registry: CollectorRegistry) -> None:
    http.rejected("overload")
    assert registry.get_sample_value("requests_rejected_total", {"reason": "overload"}) == 1
    assert http.recent()["rejected"]["overload"] == 1
    with pytest.raises(KeyError):
        http.rejected("because a client said so")


def test_the_dashboards_figures_are_of_the_last_ten_seconds(http: HttpMetrics, monkeypatch: pytest.MonkeyPatch) -> None:
    assert http.recent() | {"rejected": {}} == {
        "total": 0,
        "per_second": 0.0,
        "p50_ms": None,
        "p99_ms": None,
        "in_flight": 0,
        "rejected": {},
    }
    for number in range(1, 101):
        http.started(traffic=True)
        http.finished("/v1/predictions", "POST", 200, number / 1000, traffic=True)
    shown = http.recent()
    assert (shown["total"], shown["per_second"], shown["p50_ms"]) == (100, 10.0, 50.5)
    assert 99 <= shown["p99_ms"] <= 100
    later = time.monotonic() + 11
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert (http.recent()["total"], http.recent()["per_second"]) == (100, 0.0)


def test_what_is_no_traffic_is_prometheus_business_alone(http: HttpMetrics, registry: CollectorRegistry) -> None:
    http.started(traffic=False)
    assert (http.recent()["in_flight"], registry.get_sample_value("http_requests_in_flight")) == (0, 1)
    http.finished("/v1/monitor", "GET", 200, 0.001, traffic=False)
    http.flush()
    shown = http.recent()
    assert (shown["total"], shown["per_second"], shown["p99_ms"], shown["in_flight"]) == (0, 0.0, None, 0)
    labels = {"route": "/v1/monitor", "method": "GET", "status": "200"}
    assert registry.get_sample_value("http_request_duration_seconds_count", labels) == 1


@given(st.lists(st.floats(0, 2), min_size=1, max_size=50))
def test_many_values_at_once_count_as_they_do_one_by_one(values: list[float]) -> None:
    one, many = CollectorRegistry(), CollectorRegistry()
    slow = Histogram("h", "h", buckets=DURATION_BUCKETS, registry=one)
    for value in values:
        slow.observe(value)
    BulkHistogram("h", "h", buckets=DURATION_BUCKETS, registry=many).observe_many(np.array(values))
    for family in slow.collect():
        for sample in family.samples:
            assert many.get_sample_value(sample.name, sample.labels) == pytest.approx(sample.value)


def test_the_page_is_what_prometheus_reads(http: HttpMetrics, registry: CollectorRegistry) -> None:
    families = {family.name for family in text_string_to_metric_families(exposition(registry).decode())}
    assert {"http_request_duration_seconds", "http_requests_in_flight", "process_resident_memory_bytes"} <= families
    assert b"_created" not in generate_latest(registry)
