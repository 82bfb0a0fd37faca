"""The pool of Ray actors: what happens when processes die, or never come.

That it leaves the serial executor's bytes, ``tests/flows/run/test_process_release.py`` tests.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import ray as ray_library

from engine.run.executor import WorkerRecipe
from engine.run.ray_pool import RayPoolExecutor
from engine.store.blocks import AttributionBlock
from engine.store.store import Store
from models.errors import ConfigurationError, InputError, RetryError, StoreError
from tests.engine.store.store_builders import configuration
from tests.quick_worker import QuickRecipe, quick_blocks

pytestmark = pytest.mark.usefixtures("ray")


@pytest.fixture
def recipe(tmp_path: Path) -> WorkerRecipe:
    """Of workers whose model is not there."""
    store = Store.create(str(tmp_path / "odd.zarr"), configuration())
    return WorkerRecipe((str(tmp_path / "nowhere"),), store.url)


@pytest.fixture
def quick() -> QuickRecipe:
    """Of workers that start in a moment; what real ones leave that die, test_killed_runs.py tests."""
    return QuickRecipe((), "no store")


def processes(pool: RayPoolExecutor) -> list[int]:
    pids: list[int] = ray_library.get([actor.ready.remote() for actor in pool._all])
    return pids


def test_a_killed_actor_is_replaced_and_its_block_run_again(quick: QuickRecipe) -> None:
    blocks = quick_blocks(3)
    with RayPoolExecutor(quick, 2) as pool:
        expected = [pool.run(block) for block in blocks]
        before = processes(pool)

        def kill_soon() -> None:
            time.sleep(0.05)
            os.kill(before[0], signal.SIGKILL)

        killer = threading.Thread(target=kill_soon)
        with ThreadPoolExecutor(2) as threads:
            running = threads.map(pool.run, blocks * 3)
            killer.start()
            assert list(running) == expected * 3
        killer.join()
        after = processes(pool)
        assert before[0] not in after
        assert len(set(after)) == 2


def test_an_actor_that_ray_gave_up_is_replaced(quick: QuickRecipe) -> None:
    (block,) = quick_blocks(1)
    with RayPoolExecutor(quick, 1) as pool:
        expected = pool.run(block)
        before = processes(pool)
        ray_library.kill(pool._all[0])  # without restart: gone for good
        assert pool.run(block) == expected
        assert processes(pool) != before


def test_a_workers_error_arrives_as_it_was_raised(quick: QuickRecipe) -> None:
    missing = AttributionBlock(0, 4, "plan", (0,))
    with RayPoolExecutor(quick, 1) as pool:
        with pytest.raises(StoreError, match="not in the staging area") as caught:
            pool.run(missing)
        assert caught.value.kind == "staging-missing"
        assert caught.value.remedy
        # The actor is none the worse for it.
        assert pool.run(quick_blocks(1)[0]).kind == "score"


def test_a_model_that_is_not_there_is_told_at_once(recipe: WorkerRecipe) -> None:
    with pytest.raises(InputError, match="no model of that name"), RayPoolExecutor(recipe, 1):
        pass


def test_workers_that_never_get_their_cpus_are_waited_for_in_bounds(quick: QuickRecipe) -> None:
    with (
        pytest.raises(ConfigurationError, match=r"3 workers of 1 CPUs and 0 GPUs each") as caught,
        RayPoolExecutor(quick, 3, ready_seconds=3),
    ):
        pass
    assert "3 s" in caught.value.allowed
    assert "fewer workers" in caught.value.remedy


def test_a_worker_that_dies_while_it_loads_is_replaced(quick: QuickRecipe) -> None:
    with ThreadPoolExecutor(1) as thread:
        pool = RayPoolExecutor(quick, 1)
        entered = thread.submit(pool.__enter__)
        while not pool._all:
            time.sleep(0.01)
        first = pool._all[0]
        ray_library.kill(first)
        entered.result()
        try:
            assert pool._all[0] is not first
            assert pool.run(quick_blocks(1)[0]).kind == "score"
        finally:
            pool.__exit__(None, None, None)


def test_a_recipe_is_small_enough_to_send(recipe: WorkerRecipe) -> None:
    assert len(pickle.dumps(recipe)) < 1000


def test_a_block_waits_for_a_worker_in_bounds_when_all_died(quick: QuickRecipe) -> None:
    (block,) = quick_blocks(1)
    with RayPoolExecutor(quick, 1) as pool:
        pool._ready_seconds = 1.0
        # It needs the whole cluster, so it waits until the pool's only worker is gone.
        room_taker = ray_library.remote(_RoomTaker).options(num_cpus=2).remote()
        ray_library.kill(pool._all[0])
        ray_library.get(room_taker.ready.remote())
        try:
            with pytest.raises(RetryError, match="All workers died") as caught:
                pool.run(block)
            assert caught.value.kind == "no-workers"
            assert "0 CPUs" in caught.value.got
        finally:
            ray_library.kill(room_taker)
        pool._ready_seconds = 60.0
        assert pool.run(block).spectra == block.spectra


class _RoomTaker:
    def ready(self) -> bool:
        return True
