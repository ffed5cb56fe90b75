"""The real service for a benchmark: a Triton and the orchestrator, as children."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from testkit.fleet import MIB, NOTHING, Fleet
from testkit.triton import TritonProcess

__all__ = ["MIB", "Service"]


class Service(Fleet):
    """A fleet of one orchestrator and one Triton."""

    def __init__(
        self,
        run_dir: Path,
        module: str = "orchestrator",
        *,
        server: TritonProcess | None = None,
        settings: Mapping[str, str] = NOTHING,
    ) -> None:
        """``module`` is what starts the orchestrator, ``settings`` are its.

        ``server`` is a Triton that is not started yet; without one the model is the scripted one.
        """
        super().__init__(
            run_dir,
            tritons=1 if server is None else [server],
            modules=[[module]],
            settings={"TRACE_FILE": str(run_dir / "commits.txt"), **settings},
        )

    @property
    def port(self) -> int:
        return self.orchestrators[0].port

    @property
    def server(self) -> TritonProcess:
        return self.tritons[0].process

    @property
    def grpc_url(self) -> str:
        return self.server.grpc_url

    @property
    def triton_pid(self) -> int:
        return self.tritons[0].child.pid

    @property
    def orchestrator_pid(self) -> int:
        return self.orchestrators[0].pid

    def cpu_s(self) -> float:
        """Processor seconds that the orchestrator has used so far."""
        return self.orchestrators[0].cpu_s()

    def memory_mib(self) -> float:
        """The orchestrator's resident memory."""
        return self.orchestrators[0].memory_mib()
