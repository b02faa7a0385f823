"""AdminService: reload a policy, list them, show the server's status. Unix socket or the mTLS role admin."""

import logging
import time
from typing import Any

import grpc

from policy_server.policies import Policies
from policy_server.reloading import Reloader
from robot_contract import wire
from robot_contract import wire_pb2 as pb
from robot_contract.messages import ServerStatus
from robot_contract.wire_pb2_grpc import AdminServiceServicer

log = logging.getLogger(__name__)


class AdminService(AdminServiceServicer):
    def __init__(self, policies: Policies, reloader: Reloader, version: str) -> None:
        self._policies = policies
        self._reloader = reloader
        self._version = version
        self._started_at = time.monotonic()

    def status(self) -> ServerStatus:
        versions = self._policies.versions()
        costs = [version.batcher.cost for version in versions]
        return ServerStatus(
            version=self._version,
            uptime=time.monotonic() - self._started_at,
            device=", ".join(dict.fromkeys(version.model.device for version in versions)),
            policies=tuple(policy.status() for policy in self._policies),
            queue_length=sum(len(version.batcher) for version in versions),
            batch_seconds=(costs[-1].a, costs[-1].b) if costs else (0.0, 0.0),
        )

    # The generated base class names the methods.
    async def Reload(self, request: pb.ReloadRequest, context: Any) -> pb.ServerStatus:
        policy = self._policies.find(request.policy)
        if policy is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, self._policies.unknown(request.policy))
            raise AssertionError
        try:
            await self._reloader.reload(policy, request.path)
        except (ValueError, OSError) as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{error}; the old policy goes on")
        except Exception:
            log.exception("reloading %s failed", policy.name)
            await context.abort(
                grpc.StatusCode.INTERNAL,
                "the folder could not be loaded, see the server's log; the old policy goes on",
            )
        return wire.server_status_to_wire(self.status())

    async def ListPolicies(self, request: pb.ListPoliciesRequest, context: Any) -> pb.ServerStatus:
        return wire.server_status_to_wire(self.status())

    async def Status(self, request: pb.StatusRequest, context: Any) -> pb.ServerStatus:
        return wire.server_status_to_wire(self.status())
