"""Looks at graphs that somebody sends, each in a process of its own."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from kaireon_application.errors import InvalidInput
from kaireon_application.learning.imported_graph import InspectedGraph
from kaireon_core.learning.onnx_imported import FeatureDefaults, FeatureNames
from kaireon_storage.learning.onnx_probe import Finding, Question

_COMMAND = (sys.executable, "-I", "-m", "kaireon_storage.learning.onnx_probe")
_MAX_SECONDS = 60.0


class OnnxInspector:
    """Implements `InspectGraph`."""

    def __init__(self, max_seconds: float = _MAX_SECONDS) -> None:
        """Give a look this much time, the start of its process included."""
        self._max_seconds = max_seconds

    async def __call__(self, content: bytes, names: FeatureNames, defaults: FeatureDefaults) -> InspectedGraph:
        """Return what a graph is. Raises `InvalidInput` for what is wrong with it, and when looking ends badly."""
        question = msgspec.json.encode(Question(names=names, defaults=defaults))
        answer = await self._asked(question + b"\n" + content)
        finding = msgspec.json.decode(answer, type=Finding) if answer else Finding()
        if finding.output is None:
            raise InvalidInput.of(finding.problems) if finding.problems else _refused("cannot be read by the runtime")
        return InspectedGraph(inputs=finding.inputs, output=finding.output)

    async def _asked(self, question: bytes) -> bytes:
        """Return what the process says, nothing if it ends before it has said anything."""
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # None of our settings: among them are the keys of the database.
            env={},
        )
        try:
            async with asyncio.timeout(self._max_seconds):
                answer, _ = await process.communicate(question)
        except TimeoutError:
            raise _refused(f"takes longer than {self._max_seconds:g} s to read") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return answer if process.returncode == 0 else b""


def _refused(message: str) -> InvalidInput:
    return InvalidInput.at("$.file", message)
