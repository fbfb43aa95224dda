"""Files of the cache of weights: whole or not at all, and nothing half-written stays for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bandits.neural import weights
from bandits.neural.weights import remove_leftovers, write_whole

DIES = """
import os, pathlib, signal, sys
from bandits.neural.weights import write_whole

def die(beside, path):  # after the bytes were written, before they have their name
    os.kill(os.getpid(), signal.SIGKILL)

pathlib.Path.replace = die
write_whole(pathlib.Path(sys.argv[1]), b"new")
"""


def leftovers(folder):
    return sorted(path.name for path in folder.glob(".*"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_what_a_killed_writer_leaves_is_removed_by_the_next(tmp_path):
    (tmp_path / "a.json").write_bytes(b"old")
    killed = subprocess.run([sys.executable, "-c", DIES, str(tmp_path / "a.json")], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert len(leftovers(tmp_path)) == 1
    assert (tmp_path / "a.json").read_bytes() == b"old"
    write_whole(tmp_path / "b.json", b"other")
    assert leftovers(tmp_path) == []
    assert (tmp_path / "b.json").read_bytes() == b"other"


def test_only_files_of_the_dead_and_of_yesterday_are_removed(tmp_path):
    mine, host = os.getpid(), weights._host()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = {
        "dead": f".x.json.{host}-{dead.pid}.tmp",
        "alive": f".x.json.{host}-{mine}.tmp",
        "elsewhere": f".x.json.another-{dead.pid}.tmp",
        "nameless": f".x.json.{dead.pid}.tmp",
        "absurd": f".x.json.{host}-{10**30}.tmp",
        "old": f".y.json.{host}-{mine}.tmp",
        "old elsewhere": f".y.json.another-{mine}.tmp",
        "no leftover": "x.json",
    }
    for name in names.values():
        (tmp_path / name).write_bytes(b"half")
    for name in ("old", "old elsewhere"):
        os.utime(tmp_path / names[name], (0, time.time() - weights.STALE_S - 60))
    remove_leftovers(tmp_path)
    kept = {what for what, name in names.items() if (tmp_path / name).exists()}
    gone_here = set() if sys.platform == "win32" else {"dead"}
    assert kept == names.keys() - {"old", "old elsewhere"} - gone_here


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(path, data):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "a.json", b"new")
    assert list(tmp_path.iterdir()) == []


def test_writers_at_once_do_not_remove_what_another_is_writing(tmp_path):
    code = (
        "import pathlib, sys; from bandits.neural.weights import write_whole\n"
        "for i in range(200): write_whole(pathlib.Path(sys.argv[1]) / f'{sys.argv[2]}-{i}.bin', bytes(1000))"
    )

    def write(number):
        return subprocess.run(
            [sys.executable, "-c", code, str(tmp_path), str(number)], capture_output=True, check=False, timeout=120
        )

    with ThreadPoolExecutor(3) as several:
        ended = list(several.map(write, range(3)))
    assert [(one.returncode, one.stderr) for one in ended] == [(0, b"")] * 3
    assert len(list(tmp_path.glob("*.bin"))) == 600
    assert leftovers(tmp_path) == []
