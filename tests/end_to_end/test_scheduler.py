"""Work is cut by predicted seconds, survives dying workers, and stops cleanly."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from bandits import Experiment, agent, environment
from bandits.backends import PoolBackend, RayBackend, SerialBackend, Task
from bandits.errors import UsageError
from bandits.jobs import SimulationJob
from bandits.protocol import Estimate
from bandits.runs import start
from bandits.scheduler import MAX_ROWS, RAY_SECONDS, Settings, choose_backend, cut

JOB = SimulationJob(
    Experiment(
        name="s",
        environments=[environment("bernoulli", means=[0.9, 0.8])],
        agents=[agent("ucb1")],
        horizon=30,
        replications=10,
    ).cells()[0]
)


@pytest.mark.parametrize("count", [1, 7, 1000, 99_999])
@pytest.mark.parametrize("seconds", [1e-7, 1e-3, 0.7, 50.0])
def test_tasks_cover_the_range_once_in_order_and_stay_in_bounds(count, seconds):
    estimate = Estimate(seconds=seconds, rows=200, chunk=100)
    tasks = list(cut(JOB, 5, count, estimate, target=2.0))
    assert tasks[0].first == 5
    assert sum(task.count for task in tasks) == count
    assert all(a.first + a.count == b.first for a, b in pairwise(tasks))
    for task in tasks:
        assert task.count * 200 <= MAX_ROWS
        assert task.count == 1 or task.count * seconds <= 2.0


def test_tasks_are_not_cut_finer_than_pays():
    estimate = Estimate(seconds=0.2, rows=200, chunk=1000, least=300)
    sizes = [task.count for task in cut(JOB, 0, 1000, estimate, target=2.0)]
    assert sum(sizes) == 1000
    assert min(sizes) >= 300
    assert [task.count for task in cut(JOB, 0, 50, estimate, target=2.0)] == [50]


def test_auto_stays_here_for_seconds_takes_a_pool_for_minutes_and_ray_for_more():
    two = Settings(workers=2)
    assert isinstance(choose_backend(two, 1.0), SerialBackend)
    assert isinstance(choose_backend(two, 60.0), PoolBackend)
    assert isinstance(choose_backend(two, 2.1 * RAY_SECONDS), RayBackend)
    assert isinstance(choose_backend(Settings(workers=1), 60.0), SerialBackend)


def test_a_ray_address_goes_with_ray_only():
    with pytest.raises(UsageError, match="goes with the ray backend"):
        Settings("pool", ray_address="127.0.0.1:6379")


def test_the_latest_ray_cluster_is_asked_for_before_anything_runs(bandits, monkeypatch, tmp_path):
    """Ray itself would try for minutes to reach the cluster that is gone."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    start = time.monotonic()
    answer = bandits("run", "quickstart", "--smoke", "--ray-address", "auto", "--out", tmp_path / "run")
    assert time.monotonic() - start < 10
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert answer.err.startswith("error: no Ray cluster answers at '127.0.0.1:1' (which is what 'auto' means here) (")
    assert "start one with 'ray start --head', or give HOST:PORT" in answer.err
    assert not (tmp_path / "run").exists()


def test_the_latest_ray_cluster_is_the_one_that_ray_start_left(monkeypatch, tmp_path):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", frozenset)  # another test may run one
    with pytest.raises(UsageError, match="auto: no Ray cluster runs on this machine, and RAY_ADDRESS names none: star"):
        Settings(ray_address="auto")
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:1")
    with pytest.raises(UsageError, match=r"no Ray cluster answers at '[^']+:1' \(which is what 'auto' means"):
        Settings(ray_address="auto")
    with socket.create_server(("", 0)) as listening:
        (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{listening.getsockname()[1]}")
        assert Settings(ray_address="auto").ray_address == "auto"


def test_a_job_says_what_its_cost_is():
    estimate = JOB.estimate()
    assert 0 < estimate.seconds < 0.1
    assert estimate.rows == len(JOB.cell.checkpoints)


DEADLY = """
import os, pathlib
import numpy as np
from bandits import Experiment, agent, environment, jobs, register_agent

jobs._PILOT_ROUNDS = 10  # so that measuring the cost does not reach the deadly round in the driver

@register_agent("deadly")
class Deadly:
    "Kills its process in round 20: always, or only while its flag is not there."
    def __init__(self, problem, streams, *, flag: str = ""):
        self.size, self.flag = streams.size, flag
    def act(self, t, context=None):
        if t == 20 and not (self.flag and pathlib.Path(self.flag).exists()):
            if self.flag:
                pathlib.Path(self.flag).touch()
            os._exit(9)
        return np.zeros(self.size, dtype=np.int64)
    def update(self, t, action, feedback):
        pass

EXPERIMENT = Experiment(name="deadly", environments=[environment("bernoulli", means=[0.9, 0.1])], horizon=40,
    replications=8, agents=[agent("deadly", flag=FLAG), agent("ucb1")])
"""


def test_a_worker_that_dies_once_is_replaced_and_its_task_tried_again(bandits, plugin, tmp_path):
    path = plugin(DEADLY.replace("FLAG", repr(str(tmp_path / "flag"))))
    answer = bandits("run", path, "--backend", "pool", "--workers", 2, "--out", "r", "--json", "--quiet")
    assert answer.code == 0, answer.err
    assert (tmp_path / "flag").exists(), "the worker should have died once"
    assert {row["replications"] for row in bandits("show", "r", "--json").json} == {8}


def test_a_worker_that_always_dies_fails_its_own_cell_only(bandits, plugin):
    path = plugin(DEADLY.replace("FLAG", "''"))
    answer = bandits("run", path, "--backend", "pool", "--workers", 2, "--out", "r", "--json", "--quiet")
    assert answer.code == 1
    (failure,) = {failure["label"]: failure for failure in answer.json["failures"]}.values()
    assert failure["label"].startswith("deadly")
    assert "the worker process died 3 times" in failure["cause"]
    assert {r["agent"].split("(")[0]: r["replications"] for r in bandits("show", "r", "--json").json} == {
        "deadly": 0,
        "ucb1": 8,
    }


SLOW = """
import time
import numpy as np
from bandits import Experiment, agent, environment, register_agent

@register_agent("slow")
class Slow:
    "Sleeps."
    def __init__(self, problem, streams):
        self.size = streams.size
    def act(self, t, context=None):
        time.sleep(0.002)
        return np.zeros(self.size, dtype=np.int64)
    def update(self, t, action, feedback):
        pass

EXPERIMENT = Experiment(name="slow", environments=[environment("bernoulli", means=[0.9, 0.1])], horizon=100,
    replications=40, agents=[agent("slow")])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("backend", ["serial", "pool"])
def test_a_signal_stops_the_run_cleanly_and_names_the_resume_command(plugin, tmp_path, backend, number):
    path = plugin(SLOW)
    options = ["--backend", backend, "--workers", "2", "--batch", "2", "--out", "r"]
    command = [sys.executable, "-m", "bandits", "run", str(path), *options]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(tmp_path.glob("r/log/*/*.parquet")):
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Continue with: bandits resume r" in err
    assert "Traceback" not in out + err
    assert json.loads((tmp_path / "r" / "run.json").read_text())["status"] == "interrupted"
    children = subprocess.run(["ps", "-o", "args=", "--ppid", str(process.pid)], capture_output=True, text=True)
    assert children.stdout.strip() == ""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_workers_end_with_a_driver_that_is_killed(plugin, tmp_path):
    mark = f"BANDITS_TEST_MARK={tmp_path.name}"

    def marked() -> int:
        found = 0
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                found += mark.encode() in (process / "environ").read_bytes()
        return found

    options = ["--backend", "pool", "--workers", "2", "--batch", "2", "--out", "r", "--quiet"]
    command = [sys.executable, "-m", "bandits", "run", str(plugin(SLOW)), *options]
    name, _, value = mark.partition("=")
    process = subprocess.Popen(command, cwd=tmp_path, env=os.environ | {name: value})
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(tmp_path.glob("r/log/*/*.parquet")):
        time.sleep(0.05)
    assert marked() >= 3, "the driver and its workers"
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and marked():
        time.sleep(0.1)
    assert marked() == 0


def test_memory_is_bounded_by_the_tasks_in_flight(tmp_path):
    """60,000 replications x 200 checkpoints are 12 million log rows, 340 MB: the process grows by much less."""
    code = f"""
import resource
from bandits import Experiment, agent, environment
from bandits.runs import start
from bandits.scheduler import Settings
small = Experiment(name="m", environments=[environment("bernoulli", means=[0.9, 0.8])], agents=[agent("ucb1")],
    horizon=200, replications=3000)
peak = []
for name, replications in (("small", 3000), ("big", 60_000)):
    start(small.replace(replications=replications), {str(tmp_path)!r} + "/" + name, Settings("serial"))
    peak.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
print(peak[1] - peak[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert float(done.stdout) < 300, "MiB more for twenty times the log"


def test_entry_points_of_installed_packages_are_loaded(tmp_path):
    """A package that declares an entry point in the group bandits.plugins."""
    (tmp_path / "their_package.py").write_text(
        "import numpy as np\nfrom bandits import register_agent\n"
        "@register_agent('theirs')\nclass Theirs:\n    'An agent from a package.'\n"
        "    def __init__(self, problem, streams): self.size = streams.size\n"
        "    def act(self, t, context=None): return np.zeros(self.size, dtype=np.int64)\n"
        "    def update(self, t, action, feedback): pass\n"
    )
    info = tmp_path / "their_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bandits.plugins]\ntheirs = their_package\n")
    environment_ = os.environ | {"PYTHONPATH": str(tmp_path)}
    listed = [sys.executable, "-m", "bandits", "list", "agents"]
    done = subprocess.run(listed, capture_output=True, text=True, check=True, env=environment_, cwd=tmp_path)
    assert "An agent from a package." in done.stdout
    run = [
        "run",
        "quickstart",
        "--agent",
        "theirs",
        "--only",
        "theirs",
        "--smoke",
        "--backend",
        "pool",
        "--workers",
        "2",
    ]
    done = subprocess.run([*listed[:3], *run, "--json"], capture_output=True, text=True, env=environment_, cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    (tmp_path / "their_package.py").write_text("raise RuntimeError('half installed')\n")
    done = subprocess.run(listed, capture_output=True, text=True, env=environment_, cwd=tmp_path)
    assert done.returncode == 2
    assert "the installed plug-in 'theirs' (their_package) failed to load: RuntimeError: half installed" in done.stderr


def test_a_task_names_its_replications_when_it_fails():
    from bandits.backends import execute

    class Broken:
        key = label = "broken"

        def prepare(self):
            pass

        def run(self, first, count):
            raise ValueError("no")

    result = execute(Task(Broken(), 32, 8))
    assert result.data is None
    assert result.cause == "replications 32-39: ValueError: no"


def test_the_same_place_is_not_taken_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = Experiment(
        name="twice",
        environments=[environment("bernoulli", means=[0.9])],
        agents=[agent("ucb1")],
        horizon=5,
        replications=2,
    )
    places = {start(small).place for _ in range(3)}
    assert len(places) == 3
