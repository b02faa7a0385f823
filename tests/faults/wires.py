"""Two bad networks: one that holds bytes back, and one that delays, repeats, reorders and spoils messages.

Both run in a thread of their own and sit between programs that know nothing of them.
"""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from robot_contract import wire_pb2 as pb
from robot_contract.channel import channel_options, server_options

_SERVICE = "touchdown.v1.PolicyService"


class _InThread:
    """An event loop in a thread; `_open` and `_shut` run on it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20.0)

    async def _open(self) -> None:
        raise NotImplementedError

    async def _shut(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10.0)
        self._loop.close()


class TcpProxy(_InThread):
    """Passes bytes on; while it is cut, it keeps them and nobody is told, as on a half-open connection."""

    def __init__(self, upstream: str) -> None:
        super().__init__()
        self.upstream = upstream
        self.address = ""
        self._is_whole = asyncio.Event()
        self._is_whole.set()
        self._links: set[asyncio.Task[None]] = set()

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _shut(self) -> None:
        self._server.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def cut(self) -> None:
        self._loop.call_soon_threadsafe(self._is_whole.clear)

    def mend(self) -> None:
        self._loop.call_soon_threadsafe(self._is_whole.set)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.ensure_future(self._serve(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        beyond = None
        try:
            await self._is_whole.wait()
            host, port = self.upstream.rsplit(":", 1)
            beyond_reader, beyond = await asyncio.open_connection(host, int(port))
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass(reader, beyond))
                ways.create_task(self._pass(beyond_reader, writer))
        except OSError:
            pass  # nobody listens there now; the client sees its connection close
        finally:
            for end in (writer, beyond):
                if end is not None:
                    end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                await self._is_whole.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # a peer that was killed
        writer.transport.abort()


Delivery = tuple[float, bytes]  # after so many seconds, these bytes
Rule = Callable[[bytes, random.Random], list[Delivery]]


def honest(reply: bytes, rng: random.Random) -> list[Delivery]:
    return [(0.0, reply)]


class MessageProxy(_InThread):
    """Between bridge and policy server: `rule` decides what becomes of every reply on a stream."""

    def __init__(self, upstream: str, *, seed: int = 1) -> None:
        super().__init__()
        self._upstream = upstream
        self._rng = random.Random(seed)
        self.rule: Rule = honest
        self.address = ""

    async def _open(self) -> None:
        self._channel = grpc.aio.insecure_channel(self._upstream, options=channel_options())
        self._server = grpc.aio.server(options=server_options())
        handlers = {
            "GetContract": grpc.unary_unary_rpc_method_handler(self._unary("GetContract")),
            "Predict": grpc.unary_unary_rpc_method_handler(self._unary("Predict")),
            "Stream": grpc.stream_stream_rpc_method_handler(self._stream),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
        port = self._server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{port}"
        await self._server.start()

    async def _shut(self) -> None:
        await self._server.stop(None)
        await self._channel.close()

    def _unary(self, method: str) -> Any:
        call = self._channel.unary_unary(f"/{_SERVICE}/{method}")

        async def relay(request: bytes, context: Any) -> bytes:
            return await call(request, timeout=10.0)

        return relay

    async def _stream(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        call = self._channel.stream_stream(f"/{_SERVICE}/Stream")(requests)
        due: asyncio.Queue[bytes] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        async def collect() -> None:
            async for reply in call:
                for delay, data in self.rule(reply, self._rng):
                    loop.call_later(delay, due.put_nowait, data)

        collecting = asyncio.ensure_future(collect())
        try:
            while not collecting.done() or not due.empty():
                try:
                    yield await asyncio.wait_for(due.get(), 0.1)
                except TimeoutError:
                    continue
        finally:
            collecting.cancel()
            call.cancel()


def with_actions(change: Callable[[Any, random.Random], None]) -> Rule:
    """Spoil each chunk's protobuf message, and pass it on at once."""

    def rule(reply: bytes, rng: random.Random) -> list[Delivery]:
        message = pb.StreamReply.FromString(reply)
        if message.HasField("chunk"):
            change(message.chunk, rng)
        return [(0.0, message.SerializeToString())]

    return rule
