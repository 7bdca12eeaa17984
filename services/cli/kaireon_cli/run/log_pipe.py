"""The pipe through which a process's output becomes log lines."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

# A longer line is cut here: it must not fill our memory.
_LONGEST_LINE_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16


class LogPipe:
    """Give `write_end` to a child as its stdout and stderr; `close_write_end` once it has been started."""

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()

    def close_write_end(self) -> None:
        """Leave the pipe to the child: it ends with the last process that holds it."""
        os.close(self.write_end)

    async def forward(self, on_line: Callable[[str], None]) -> None:
        """Call `on_line` for every line until the last process that holds the pipe has ended."""
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: protocol, os.fdopen(self._read_end, "rb", buffering=0)
        )
        rest = b""
        try:
            while chunk := await reader.read(_CHUNK_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _LONGEST_LINE_BYTES:
                    lines, rest = [*lines, rest], b""
                for line in lines:
                    on_line(line.decode(errors="replace").rstrip("\r"))
            if rest:
                on_line(rest.decode(errors="replace"))
        finally:
            transport.close()
