"""``python -m changeover [CONFIG]``: the operator."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path

from changeover.config import Config, read_config
from changeover.core.errors import InvalidSpec
from changeover.wiring import run

DEFAULT_CONFIG = Path("/etc/changeover/config.yaml")
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JSONFormatter(logging.Formatter):
    """One JSON object a line, whatever the message holds."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        line = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up_logging(config: Config) -> None:
    """Lines to standard error, in the form that the configuration asks for."""
    handler = logging.StreamHandler()
    handler.setFormatter(JSONFormatter() if config.log_format == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=config.log_level.upper(), handlers=[handler], force=True)
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)  # a line for each event says nothing new


def main() -> int:
    """Exit code: 0 after a signal, 2 when the configuration is wrong."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_CONFIG
    try:
        config = read_config(path)
    except InvalidSpec as error:
        print(f"changeover: {error}", file=sys.stderr)
        return 2
    set_up_logging(config)
    asyncio.run(run(config))
    return 0


if __name__ == "__main__":
    sys.exit(main())
