"""What Traefik calls things in its metrics. Pure, and light to import."""

from __future__ import annotations

import re

from changeover.ports import CountQuery

BUCKETS = "traefik_service_request_duration_seconds_bucket"  # the latency histogram, by service, code and le
REQUESTS = "traefik_service_requests_total"


def quoted(text: str) -> str:
    """A PromQL string literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def traefik_service(query: CountQuery) -> str:
    """Regular expression (anchored by PromQL) of Traefik's name for one backend of an HTTPRoute.

    Since 3.7 the name holds the route and the backend's place in it, so only this route's requests are counted; before,
    it was namespace-service-port, shared by all routes to the Service.
    """
    service, route = (_normalised(f"{query.namespace}-{name}") for name in (query.backend.service, query.route))
    today = f"httproute-{route}-gw-.+-svc-{service}-[0-9]+"
    before = f"{service}-(http-)?{query.backend.port}"
    return f"({today}|{before})@kubernetesgateway"


def _normalised(name: str) -> str:
    """As Traefik has names: every run of other characters is a dash."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name)
