"""``python -m changeover [CONFIG]``: the operator."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from changeover.config import Config, read_config
from changeover.core.errors import InvalidSpec
from changeover.wiring import run

DEFAULT_CONFIG = Path("/etc/changeover/config.yaml")
_FORMATS = {
    "text": "%(asctime)s %(levelname)s %(name)s: %(message)s",
    "json": '{"time":"%(asctime)s","level":"%(levelname)s","logger":"%(name)s","message":"%(message)s"}',
}


def set_up_logging(config: Config) -> None:
    """Lines to standard error, in the form that the configuration asks for."""
    logging.basicConfig(level=config.log_level.upper(), format=_FORMATS[config.log_format], force=True)


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
