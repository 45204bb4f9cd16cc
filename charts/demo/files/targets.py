"""Tells Prometheus what to scrape, by HTTP discovery, from a fresh list of nodes or pods. Standard library only."""

from __future__ import annotations

import http.server
import json
import ssl
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
API, LISTEN, KUBELET = "https://kubernetes.default.svc", ("127.0.0.1", 9091), 10250
SECONDS = 4
ASK = "prometheus.io/"

Body = dict[str, Any]


def nodes(items: list[Body]) -> Iterator[Body]:
    """A group for each node's kubelet."""
    for node in items:
        for address in node["status"].get("addresses", []):
            if address["type"] == "InternalIP":
                role = node["metadata"].get("labels", {}).get("changeover.dev/role", "")
                labels = {"node": node["metadata"]["name"], "role": role}
                yield {"targets": [f"{address['address']}:{KUBELET}"], "labels": labels}


def pods(items: list[Body]) -> Iterator[Body]:
    """A group for each pod that asks to be scraped."""
    for pod in items:
        metadata, address = pod["metadata"], pod["status"].get("podIP")
        asks = metadata.get("annotations") or {}
        port = asks.get(f"{ASK}port")
        if asks.get(f"{ASK}scrape") != "true" or not port or not address:
            continue
        labels = {"namespace": metadata["namespace"], "pod": metadata["name"], "node": pod["spec"].get("nodeName", "")}
        if path := asks.get(f"{ASK}path"):
            labels["__metrics_path__"] = path
        yield {"targets": [f"{address}:{port}"], "labels": labels}


KINDS: dict[str, tuple[str, Callable[[list[Body]], Iterator[Body]]]] = {
    "/nodes": ("/api/v1/nodes", nodes),
    "/pods": ("/api/v1/pods?fieldSelector=status.phase%3DRunning", pods),
}


def listed(path: str) -> list[Body]:
    """The items of a list. The token is read each time: it is renewed every hour."""
    token = (ACCOUNT / "token").read_text()
    request = urllib.request.Request(API + path, headers={"Authorization": f"Bearer {token}"})
    authority = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=SECONDS, context=authority) as answer:
        items: list[Body] = json.load(answer)["items"]
    return items


class Discovery(http.server.BaseHTTPRequestHandler):
    """An error makes Prometheus keep the targets that it has."""

    def do_GET(self) -> None:
        path, groups = KINDS.get(self.path, ("", pods))
        try:
            status, body = (
                (200, json.dumps(list(groups(listed(path))))) if path else (404, "there are /nodes and /pods")
            )
        except (OSError, ValueError, KeyError) as error:
            status, body = 502, repr(error)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        """Nothing: it is asked every few seconds."""


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(LISTEN, Discovery).serve_forever()
