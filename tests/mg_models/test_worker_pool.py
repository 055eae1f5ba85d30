"""The process pool: results, messages, errors, and nothing left of a parent that was killed."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pool_tasks
import pytest

from mg_models.worker_pool import PREFIX, WorkerDiedError, WorkerTracebackError, run_tasks, shared_folder


def test_results_and_messages_come_by_name():
    before = pool_tasks.children()
    messages: list[str] = []
    results = dict(run_tasks(pool_tasks.double, {f"task {k}": k for k in range(5)}, 2, messages.append))
    assert {name: value for name, (value, _) in results.items()} == {f"task {k}": 2 * k for k in range(5)}
    assert sorted(messages) == [f"began {k}" for k in range(5)]
    assert len({process for _, process in results.values()}) == 2  # a process takes one task after another
    assert pool_tasks.children() == before


def test_an_error_is_raised_with_its_tasks_traceback():
    with pytest.raises(KeyError, match="one") as raised:
        list(run_tasks(pool_tasks.refuse, {"the first": 1, "other": 0}, 1))
    assert isinstance(raised.value.__cause__, WorkerTracebackError)
    assert "in the process of the first:" in str(raised.value.__cause__)
    assert 'raise KeyError("one")' in str(raised.value.__cause__)
    with pytest.raises(WorkerTracebackError, match=r"(?s)in the process of the second:.*Unpicklable: two"):
        list(run_tasks(pool_tasks.refuse, {"the second": 2}, 1))


def test_a_killed_process_names_its_task():
    before = pool_tasks.children()
    results = run_tasks(pool_tasks.refuse, {"fine": 0, "the third": 3, "never": 0}, 1)
    assert next(results) == ("fine", 0)
    with pytest.raises(WorkerDiedError, match=r"the process of the third died with exit code -9") as raised:
        next(results)
    assert (raised.value.task, raised.value.exit_code) == ("the third", -9)
    assert pool_tasks.children() == before


def test_abandoned_results_end_the_processes():
    before = pool_tasks.children()
    results = run_tasks(pool_tasks.sleep, {"long": 60.0, "short": 0.0}, 2)
    assert next(results)[0] == "short"
    results.close()
    assert pool_tasks.children() == before


PARENT = """
import numpy as np
import pool_tasks
from mg_models.worker_pool import run_tasks, shared_folder

with shared_folder() as folder:
    np.save(folder / "values.npy", np.zeros(10))
    list(run_tasks(pool_tasks.sleep, {"a": 60.0, "b": 60.0}, 2, lambda process: print(process, flush=True)))
"""


def alive(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_a_killed_parent_leaves_no_process_and_no_array(tmp_path, monkeypatch):
    (tmp_path / "parent.py").write_text(PARENT)
    folders = [str(Path(pool_tasks.__file__).parent), str(Path(__file__).parents[2])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(folders), "TMPDIR": str(tmp_path)}
    command = [sys.executable, str(tmp_path / "parent.py")]
    parent = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    assert all(map(alive, workers))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    for _ in range(200):
        if not any(map(alive, workers)):
            break
        time.sleep(0.05)
    else:
        pytest.fail("processes of the killed parent still ran after ten seconds")
    (left,) = tmp_path.glob(f"{PREFIX}*")
    assert np.load(left / "values.npy").shape == (10,)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with shared_folder() as own:
        assert list(tmp_path.glob(f"{PREFIX}*")) == [own]
    assert not own.exists()


CALLER = """
import sys
import pool_tasks
from mg_models.worker_pool import run_tasks

def own(task, send):
    return task

class Own:
    pass

print("run", flush=True)
print(sorted(v for _, (v, _) in run_tasks(pool_tasks.double, {str(k): k for k in range(3)}, 2)))
for work, task in ((own, 1), (pool_tasks.double, Own())):
    try:
        list(run_tasks(work, {"a": task}, 1))
    except TypeError as error:
        print(error)
"""


@pytest.mark.parametrize("how", ["script", "module", "command", "standard input"])
def test_a_callers_script_runs_once_without_a_guard(how, tmp_path):
    (tmp_path / "caller.py").write_text(CALLER)
    arguments = {
        "script": [str(tmp_path / "caller.py")], "module": ["-m", "caller"], "command": ["-c", CALLER],
        "standard input": ["-"],
    }[how]  # fmt: skip
    folders = [str(Path(pool_tasks.__file__).parent), str(Path(__file__).parents[2])]
    done = subprocess.run(
        [sys.executable, *arguments], input=CALLER, capture_output=True, text=True, timeout=60, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(folders)}, check=True,
    )  # fmt: skip
    refused = "is defined in the script or notebook that was started, which other processes cannot import"
    lines = done.stdout.splitlines()
    assert lines[:2] == ["run", "[0, 2, 4]"]
    assert [line.partition(":")[0] for line in lines[2:]] == [f"own {refused}", f"Own {refused}"]
    assert done.stderr == ""


def test_a_worker_imports_from_the_callers_path(tmp_path, monkeypatch):
    (tmp_path / "own_tasks.py").write_text("def work(task, send):\n    return task + 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import own_tasks

    assert list(run_tasks(own_tasks.work, {"a": 1}, 1)) == [("a", 2)]
    (tmp_path / "own_tasks.py").unlink()  # a module that cannot be imported there is an error of the task
    with pytest.raises(ModuleNotFoundError, match="own_tasks"):
        list(run_tasks(own_tasks.work, {"a": 1}, 1))


def test_a_worker_imports_nothing_from_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "random.py").write_text("raise SystemExit('a namesake of the standard library')\n")
    monkeypatch.chdir(tmp_path)
    assert [name for name, _ in run_tasks(pool_tasks.double, {"a": 1}, 1)] == ["a"]
