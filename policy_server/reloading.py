"""Loading and changing models under load: the new one warms up beside the old, then the old one drains."""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from policy_server.batch_cost import BatchCost
from policy_server.engine_worker import EngineWorker
from policy_server.intake import ServerLimits
from policy_server.metrics import Metrics
from policy_server.policies import Policy, PolicyVersion
from policy_server.served_model import ServedModel, batch_limit, time_batches, warm_up_sizes
from robot_contract.errors import ContractError
from robot_contract.policy_contract import PolicyContract, interface_document

log = logging.getLogger(__name__)

LONG_BATCH_SECONDS = 1.0  # larger batches than one that takes so long help no robot, and are not tried
DRAIN_SECONDS = 60.0  # longer than any sensible deadline

Loader = Callable[[str, str], ServedModel]  # (source, served name); a source is a path as text


class Reloader:
    def __init__(self, engine: EngineWorker, metrics: Metrics, limits: ServerLimits, load: Loader) -> None:
        self._engine = engine
        self._metrics = metrics
        self._limits = limits
        self._load = load
        self._lock = asyncio.Lock()  # one model is loaded at a time: memory for two is enough
        self._tasks: set[asyncio.Task[None]] = set()

    async def load(self, policy: Policy) -> None:
        """The first version of a policy."""
        policy.current = await self._make_version(policy, policy.source)
        policy.state = "serving"

    async def reload(self, policy: Policy, path: str) -> None:
        """Change to another checkpoint folder; on any error the old one goes on serving."""
        source = path or policy.source
        async with self._lock:
            try:
                new = await self._make_version(policy, source)
                if policy.current is not None:
                    _check_interface(policy.current.contract, new.contract)
            except Exception:
                self._metrics.reloads.labels(policy.name, "refused").inc()
                log.warning("policy %s stays as it is: %s could not replace it", policy.name, source)
                raise
            old, policy.current, policy.source = policy.current, new, source
            policy.state = "serving"
            if old is not None:
                policy.draining.append(old)
                self._in_background(self._retire(policy, old))
        self._metrics.reloads.labels(policy.name, "done").inc()
        log.info("policy %s now serves %s, digest %s", policy.name, source, new.policy_digest)

    async def _make_version(self, policy: Policy, source: str) -> PolicyVersion:
        """Load beside the old version; check and warm up on the engine's thread, in turn with its batches."""
        started_at = time.perf_counter()
        model = await asyncio.to_thread(self._load, source, policy.name)
        await self._engine.run_between_batches(model.check)
        max_batch = batch_limit(model, self._limits.max_batch)
        measured: list[tuple[int, float]] = []
        for size in warm_up_sizes(max_batch):
            seconds = await self._engine.run_between_batches(partial(time_batches, model, size))
            measured.append((size, seconds))
            if seconds > LONG_BATCH_SECONDS:
                break
        max_batch = measured[-1][0]
        cost = BatchCost(measured)
        log.info(
            "policy %s is warm after %.1f s on %s; a batch of B takes %.1f + %.1f B ms",
            policy.name,
            time.perf_counter() - started_at,
            model.device,
            cost.a * 1e3,
            cost.b * 1e3,
        )
        return PolicyVersion(
            model,
            cost,
            name=policy.name,
            max_batch=max_batch,
            max_waiting=self._limits.max_waiting,
        )

    async def _retire(self, policy: Policy, old: PolicyVersion) -> None:
        if not await self._engine.drain(old, timeout=DRAIN_SECONDS):
            log.warning("an old version of %s still ran after %g s", policy.name, DRAIN_SECONDS)
        policy.draining.remove(old)

    def _in_background(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _check_interface(old: PolicyContract, new: PolicyContract) -> None:
    """Connected robots were armed for the old interface: the new one must be equal."""
    if old.interface_digest == new.interface_digest:
        return
    was, now = interface_document(old), interface_document(new)
    different = [f"{key} {was[key]!r} -> {now[key]!r}" for key in was if was[key] != now[key]]
    raise ContractError(
        "the new policy demands something else of the robot, and connected robots cannot follow: "
        + "; ".join(different)[:1500]
    )
