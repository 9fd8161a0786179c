"""A cluster's client: where the driver's own falls short."""

from __future__ import annotations

from typing import Any, cast

from redis.asyncio.cluster import ClusterNode, PipelineCommand, RedisCluster
from redis.cluster import PRIMARY
from redis.exceptions import ConnectionError
from redis.typing import EncodableT
from typing_extensions import override


class ClusterClient(RedisCluster):
    """A cluster's client that many tasks share."""

    def connect_with(self, **options: Any) -> None:
        """Give every connection of every node these options.

        The driver's constructor does not know them.
        """
        manager = self.nodes_manager
        manager.connection_kwargs.update(options)
        for node in manager.startup_nodes.values():
            node.connection_kwargs.update(options)

    @override
    async def execute_command(self, *args: EncodableT, **kwargs: Any) -> Any:
        # Before it knows the slots the driver asks random nodes.
        await self.initialize()
        try:
            return await super().execute_command(*args, **kwargs)
        except AttributeError as exc:
            # When a node fails, the driver closes connections that other tasks have just taken; those then have no stream to write to.
            raise ConnectionError("closed by the driver while in use") from exc

    @override
    async def aclose(self) -> None:
        """Read the slots again before the next command.

        The driver calls this when the cluster is down. Its own would close connections that other tasks use: see `close_all`.
        """
        self._initialize = True

    async def close_all(self) -> None:
        """Close every connection."""
        await self.nodes_manager.aclose()
        await self.nodes_manager.aclose("startup_nodes")
        self._initialize = True

    @override
    async def _determine_slot(self, command: str, *args: Any) -> int:
        # The driver would ask the server for the keys of every XREADGROUP (COMMAND GETKEYS): a round trip more for each read.
        if command.upper() == "XREADGROUP" and b"STREAMS" in args:
            streams = args[args.index(b"STREAMS") + 1 :]
            slots = {self.keyslot(key) for key in streams[: len(streams) // 2]}
            if len(slots) == 1:
                return slots.pop()
        return int(await super()._determine_slot(command, *args))

    @override
    def get_node(
        self, host: str | None = None, port: int | None = None, node_name: str | None = None
    ) -> ClusterNode | None:
        """Return a node; by its name, one that a slot moves to (ASK)."""
        node = super().get_node(host, port, node_name)
        if node_name is None:
            return node
        return cast("ClusterNode", _Importing(node or self._added(node_name)))

    def _added(self, name: str) -> ClusterNode:
        """Return a node without slots, which no node names (redis-py issue 4015)."""
        host, _, port = name.rpartition(":")
        manager = self.nodes_manager
        node = ClusterNode(host, int(port), PRIMARY, **manager.connection_kwargs)
        manager.set_nodes(manager.nodes_cache, {node.name: node})
        return node


class _Importing:
    """A node that takes commands for a slot only right after ASKING.

    The driver would send the two on any two connections, so that beside other tasks most of them would never meet.
    """

    def __init__(self, node: ClusterNode) -> None:
        self._node = node

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    async def execute_command(self, *args: Any, asking: bool = False, **kwargs: Any) -> Any:
        """Run a command with ASKING before it; ASKING waits for its command."""
        if args == ("ASKING",):
            return True
        both = [PipelineCommand(0, "ASKING"), PipelineCommand(1, *args, **kwargs)]
        await self._node.execute_pipeline(both)
        for each in both:
            if isinstance(each.result, Exception):
                raise each.result
        return both[1].result
