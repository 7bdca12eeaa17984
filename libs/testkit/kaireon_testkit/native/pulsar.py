"""A Pulsar broker from the `pulsar-lite` wheel: it speaks the protocol and keeps what it acknowledged."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.restartable import Restartable
from kaireon_testkit.native.spawn import Command


class PulsarLite(Restartable):
    """A broker with its data in `folder`; `url` is where clients find it."""

    def __init__(self, folder: Path) -> None:
        spec = find_spec("pulsar_lite")
        assert spec is not None
        assert spec.origin is not None
        program = Path(spec.origin).parent / "bin" / "pulsar-lite"
        port = free_port()
        data = folder / "pulsar"
        data.mkdir()
        argv = (str(program), "--addr", f"127.0.0.1:{port}", "--db-path", str(data), "--log-level", "warn")
        super().__init__(Command(argv=argv), port, folder / "pulsar.log")
        self.url = f"pulsar://127.0.0.1:{port}"
