"""Is the wheel that is built twice the same, byte for byte?"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.trust.made_of.pins import REPOSITORY

PLACES = (("a", 0o022, 0), ("a-longer-place/b", 0o077, 1_000_000))  # folder, umask, and how much older its files are


def twice() -> list[tuple[str, str]]:
    """Name and SHA-256 of two builds: elsewhere, with other rights and other times, of what is committed here."""
    with tempfile.TemporaryDirectory() as folder:
        return [_built(Path(folder) / place, umask, older) for place, umask, older in PLACES]


def _built(place: Path, umask: int, older: int) -> tuple[str, str]:
    place.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x"], cwd=place, input=archive, check=True, umask=umask)
    for file in place.rglob("*"):
        os.utime(file, (file.stat().st_atime, file.stat().st_mtime - older))
    when = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    environment = {**os.environ, "SOURCE_DATE_EPOCH": when.stdout.strip()}
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(place / "dist")]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False, umask=umask)
    if done.returncode != 0:
        raise RuntimeError(f"the wheel cannot be built: {done.stdout[-500:]}{done.stderr[-500:]}")
    [wheel] = (place / "dist").iterdir()
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    shutil.rmtree(place)
    return wheel.name, digest
