"""What the worlds look at is whole at every moment, while it is listed anew, too."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

from tests.trust.live.mirror import Mirror, Stopped

MANY = 2000  # to list them anew takes a while
LISTS = 20


class Server:
    """An API server whose watches end at once."""

    def __init__(self) -> None:
        self.mirror = Mirror(cast(Any, self))
        self.lists = 0

    @contextlib.contextmanager
    def client(self) -> Iterator[Any]:
        items = [{"metadata": {"name": f"web-{n}", "namespace": "shop"}} for n in range(MANY)]
        yield SimpleNamespace(
            get=lambda path: SimpleNamespace(body={"items": items, "metadata": {"resourceVersion": "1"}})
        )

    def lines(self, path: str) -> Iterator[str]:
        self.lists += 1
        if self.lists == LISTS:
            self.mirror.stop()
        return iter(())


def test_nothing_is_missing_while_it_is_listed_anew() -> None:
    server = Server()
    following = threading.Thread(target=server.mirror.follow, args=("Pod",))
    counted = set()
    following.start()
    with contextlib.suppress(Stopped):
        while True:
            counted.add(len(server.mirror.all("Pod", "shop")))
            time.sleep(0.0001)
    following.join()
    assert counted <= {0, MANY} and MANY in counted
