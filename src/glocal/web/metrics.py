"""The metrics of the server, for Prometheus."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        own = self.registry
        self.requests = Counter(
            "glocal_requests", "Requests by route and status.", ["method", "route", "status"],
            registry=own,
        )  # fmt: skip
        self.seconds = Histogram(
            "glocal_request_seconds", "Time to answer, by route.", ["route"],
            buckets=_SECONDS, registry=own,
        )  # fmt: skip
        self.stages = Histogram(
            "glocal_search_stage_seconds", "Time of a search's stages.", ["stage"],
            buckets=_SECONDS, registry=own,
        )  # fmt: skip
        self.under_way = Gauge(
            "glocal_requests_under_way", "Requests that are being handled.", registry=own
        )
        self.waiting = Gauge(
            "glocal_waiting", "Requests that wait for their turn.", ["queue"], registry=own
        )
        self.refused = Counter(
            "glocal_refused", "Requests refused to protect the server.", ["reason"], registry=own
        )
        self.decoders_killed = Counter(
            "glocal_decoders_killed", "Decoders that hung or crashed.", registry=own
        )
        self.thumbnails = Counter(
            "glocal_thumbnails", "Thumbnails served, from the cache or made.", ["from"],
            registry=own,
        )  # fmt: skip
        self.images = Gauge("glocal_images", "Images in the gallery.", registry=own)
        self.files = Gauge("glocal_files", "Files that hold them.", registry=own)
        self.runs = Gauge("glocal_index_runs", "Index runs waiting or running.", registry=own)
        self.comparisons = Counter(
            "glocal_comparisons", "Comparisons of all images that have ended.", ["level", "end"],
            registry=own,
        )  # fmt: skip

    def text(self) -> bytes:
        """All metrics in the format of Prometheus."""
        return generate_latest(self.registry)
