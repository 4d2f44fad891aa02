"""Engines hand back every result once, whatever dies on the way."""

import os
import signal
import time

import engine_work
import numpy as np
import pytest

from ml.datasets import data_spec, load
from ml.engines import EngineError, LocalEngine, engine_spec, make_engine
from ml.engines.processes import ProcessEngine
from ml.errors import SpecError
from ml.training import recipe, train_coalitions


def test_the_local_engine_streams_in_order():
    running = LocalEngine().run(engine_work.count_up, 10, [2, 0, 3])
    assert next(running) == 10
    assert list(running) == [11, 10, 11, 12]


def test_the_process_engine_gives_every_result_once():
    found = list(ProcessEngine(2).run(engine_work.count_up, 10, [3, 0, 1]))
    assert sorted(found) == [10, 10, 11, 12]


def test_a_worker_that_dies_costs_only_its_task(tmp_path):
    found = list(ProcessEngine(1).run(engine_work.die_once, str(tmp_path), [0, 1, 2]))
    assert sorted(found) == [0, 1, 2]
    assert (tmp_path / "died").exists()


def test_closing_a_pool_stops_its_workers(tmp_path):
    running = ProcessEngine(2).run(engine_work.sleep_after, str(tmp_path), [0, 600])
    assert next(running) == 0
    running.close()  # would wait for ten minutes if the sleeper were left alone


def test_workers_that_keep_dying_are_a_named_error():
    with pytest.raises(EngineError, match="died 2 times with 2 of 2 tasks"):
        list(ProcessEngine(1, retries=1).run(engine_work.always_die, None, [1, 2]))


@pytest.mark.parametrize("engine", [LocalEngine(), ProcessEngine(1)], ids=lambda e: e.name)
def test_an_error_of_the_work_reaches_the_caller_as_it_was(engine):
    with pytest.raises(KeyError, match="task 7"):
        list(engine.run(engine_work.fail, 0, [7]))


def test_engine_specs_are_checked_whole():
    assert make_engine(engine_spec({})).name == "local"
    assert make_engine(engine_spec({}), stacks=False).name == "processes"
    assert make_engine(engine_spec({"kind": "ray", "num_gpus": 0.5})).num_gpus == 0.5
    with pytest.raises(SpecError) as caught:
        engine_spec({"kind": "local", "workers": -1, "address": "somewhere", "cores": 2})
    places = {fault.place for fault in caught.value.faults}
    assert places == {"engine.workers", "engine.address", "engine.cores"}


PARTIES = [{"labels": [0, 1, 2]}, {"labels": [3, 4, 5]}, {"labels": [6, 7, 8, 9]}]


@pytest.fixture(scope="module")
def digits():
    return load(data_spec({"source": "digits"}, PARTIES))


def started(folder):
    return sorted(path.name for path in folder.iterdir())


def test_killing_a_ray_worker_changes_nothing(digits, tmp_path):
    """A cluster of two workers loses one by its pid in the middle of training."""
    ray = pytest.importorskip("ray")
    from ml.engines.cluster import RayEngine

    plan = recipe({"hidden": [64], "epochs": 150, "stack_size": 1})
    local = train_coalitions(digits, plan, range(1, 8), cache=tmp_path / "local")
    folder = tmp_path / "started"
    folder.mkdir()
    killed: list[int] = []

    def kill_one(done: int, total: int) -> None:
        """After the first finished chunk, kill the worker of one that has only just started."""
        if killed or not 0 < done < total:
            return
        hold = tmp_path / "hold"
        hold.touch()  # what starts from now on is certainly unfinished when it is killed
        now = time.monotonic_ns()
        deadline = time.monotonic() + 50
        while not killed and time.monotonic() < deadline:
            waiting = [name for name in started(folder) if int(name.split("-")[0]) > now]
            killed.extend(int(name.split("-")[1]) for name in waiting[:1])
            time.sleep(0.01)
        os.kill(killed[0], signal.SIGKILL)
        hold.unlink()

    engine = engine_work.Announcing(RayEngine(workers=2), str(folder))
    result = train_coalitions(
        digits, plan, range(1, 8), cache=tmp_path / "ray", engine=engine, progress=kill_one
    )
    assert killed
    np.testing.assert_allclose(result.scores, local.scores, atol=0.003)
    assert result.n_trained == 7
    # The killed task ran twice, nothing that was finished did; two workers may share its fate.
    assert 8 <= len(started(folder)) <= 9
    assert not ray.is_initialized()
    again = train_coalitions(digits, plan, range(1, 8), cache=tmp_path / "ray", engine=engine)
    assert (again.n_trained, again.n_recalled) == (0, 7)


def test_ray_hands_an_error_of_the_work_on():
    pytest.importorskip("ray")
    from ml.engines.cluster import RayEngine

    with pytest.raises(KeyError, match="task 7"):
        list(RayEngine(workers=1).run(engine_work.fail, 0, [7]))


def test_a_ray_task_without_a_device_sees_none(monkeypatch):
    pytest.importorskip("ray")
    from ml.engines.cluster import RayEngine

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    engine = RayEngine(workers=1)
    assert engine.device_type == "cpu"
    assert RayEngine(num_gpus=0.5).device_type == "cuda"
    assert list(engine.run(engine_work.devices, 0, [1])) == [""]


def test_a_cluster_that_is_not_there_is_a_named_error():
    pytest.importorskip("ray")
    from ml.engines.cluster import RayEngine

    with pytest.raises(EngineError, match="No Ray cluster at"):
        list(RayEngine("127.0.0.1:1").run(engine_work.count_up, 0, [1]))


def test_processes_train_the_same_table(digits, tmp_path):
    plan = recipe({"network": "cnn", "channels": [4], "hidden": [16], "epochs": 2})
    local = train_coalitions(digits, plan, [1, 2, 4], cache=tmp_path / "local")
    pool = train_coalitions(
        digits, plan, [1, 2, 4], cache=tmp_path / "pool", engine=ProcessEngine(2)
    )
    np.testing.assert_allclose(pool.scores, local.scores, atol=0.003)
    assert pool.n_trained == 3
