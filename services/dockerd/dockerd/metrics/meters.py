"""The figures: timers that others feed, and values that are read when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

_PREFIX: Final = "engine_daemon"
# Go's.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_TIMERS: Final = {
    "container_actions": ("action", "The number of seconds it takes to process each container action"),
    "image_actions": ("action", "The number of seconds it takes to process each image action"),
    "network_actions": ("action", "The number of seconds it takes to process each network action"),
    "host_info_functions": ("function", "The number of seconds it takes to call functions gathering info about the host"),
}  # fmt: skip
# There from the beginning, as in the original.
_KNOWN: Final = ("start", "changes", "commit", "create", "delete")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where values are read."""

    states: Callable[[], Mapping[str, int]]
    """How many containers are running, paused and stopped."""
    health_checks: Callable[[], tuple[int, int]]
    """How many have been made, and how many of them failed."""
    events: Callable[[], tuple[int, int]]
    """How many have been published, and how many clients listen now."""


class Meters:
    """All of them."""

    def __init__(self, sources: Sources) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._timers = {
            name: Histogram(
                f"{_PREFIX}_{name}_seconds",
                text,
                [label],
                buckets=_BUCKETS,
                registry=self._registry,
            )
            for name, (label, text) in _TIMERS.items()
        }
        for action in _KNOWN:
            self._timers["container_actions"].labels(action).observe(0)
        self._registry.register(_Values(sources))

    def describe(self, info: Mapping[str, Any]) -> None:
        """What does not change: the engine and its host, by the names in ``GET /info``."""
        labels = {
            "version": info["ServerVersion"],
            "commit": "dockyard",
            "architecture": info["Architecture"],
            "graphdriver": info["Driver"],
            "kernel": info["KernelVersion"],
            "os": info["OperatingSystem"],
            "os_type": info["OSType"],
            "os_version": info["OSVersion"],
            "daemon_id": info["ID"],
        }
        text = "The information related to the engine and the OS it is running on"
        Gauge(f"{_PREFIX}_engine_info", text, list(labels), registry=self._registry).labels(
            **labels
        ).set(1)
        for name, text, value in (
            ("engine_cpus_cpus", "The number of cpus that the host system of the engine has", info["NCPU"]),
            ("engine_memory_bytes", "The number of bytes of memory that the host system of the engine has", info["MemTotal"]),
        ):  # fmt: skip
            Gauge(f"{_PREFIX}_{name}", text, registry=self._registry).set(value)

    def took(self, timer: str, action: str, seconds: float) -> None:
        """One action of a ``timer``, such as ``container_actions``."""
        self._timers[timer].labels(action).observe(seconds)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)


class _Values(Collector):
    """Read at each scrape."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Metric]:
        states = GaugeMetricFamily(
            f"{_PREFIX}_container_states_containers",
            "The count of containers in various states",
            labels=["state"],
        )
        for state, count in self._sources.states().items():
            states.add_metric([state], count)
        yield states
        made, failed = self._sources.health_checks()
        yield CounterMetricFamily(
            f"{_PREFIX}_health_checks", "The total number of health checks", made
        )
        yield CounterMetricFamily(
            f"{_PREFIX}_health_checks_failed", "The total number of failed health checks", failed
        )
        published, listening = self._sources.events()
        yield CounterMetricFamily(f"{_PREFIX}_events", "The number of events logged", published)
        yield GaugeMetricFamily(
            f"{_PREFIX}_events_subscribers_total",
            "The number of current subscribers to events",
            listening,
        )
