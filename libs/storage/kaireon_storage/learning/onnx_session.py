"""Imported graphs by ONNX Runtime, as the functions that the core scores with; the runtime may be missing."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaireon_core.column import Floats
from kaireon_core.learning.compile import ModelNotReady
from kaireon_core.learning.fallback import FallbackReason
from kaireon_core.learning.onnx_graph import GraphOutput, with_inner_output
from kaireon_core.learning.onnx_imported import Feed, Predict

# Rows are filled up to a multiple of this: kernels add up in another order for one row, and for what is left over
# behind their vectors, and no score may depend on how many are scored with it.
_BLOCK_ROWS = 16
_MAX_RUN_SECONDS = 5.0
_LOOKS_PER_RUN = 20
_SILENT = 4


class GraphFailed(Exception):
    """A graph has no scores for its rows."""

    def __init__(self, reason: FallbackReason, message: str) -> None:
        """Say why, for counting and for reading."""
        self.reason = reason
        super().__init__(message)


class RunWatch:
    """Ends runs that take too long: the runtime looks at its flag between two operators, nobody else can stop it."""

    def __init__(self, seconds: float = _MAX_RUN_SECONDS) -> None:
        """Watch from the first run on; the thread ends with the watch."""
        self._seconds = seconds
        self._running: dict[int, tuple[float, Any]] = {}
        self._is_looking = False

    def begin(self, options: Any) -> None:
        """Watch the run with these options from now on."""
        self._running[id(options)] = time.monotonic() + self._seconds, options
        if not self._is_looking:
            self._is_looking = True
            threading.Thread(
                target=_look, args=(weakref.ref(self), self._seconds / _LOOKS_PER_RUN), daemon=True
            ).start()

    def end(self, options: Any) -> None:
        """Watch it no longer."""
        del self._running[id(options)]

    def look(self) -> None:
        """End what has run for too long."""
        now = time.monotonic()
        for until, options in list(self._running.values()):
            if now > until:
                options.terminate = True


def _look(watch: weakref.ref[RunWatch], seconds: float) -> None:
    while (found := watch()) is not None:
        found.look()
        del found
        time.sleep(seconds)


class OnnxSession:
    """A graph that is ready to run, on the thread that asks."""

    def __init__(self, runtime: Any, content: bytes, output: GraphOutput, watch: RunWatch) -> None:
        """Load the bytes of a graph whose scores stand in `output`. Raises what the runtime raises."""
        options = runtime.SessionOptions()
        # One thread: a decision is too small to share, and its rows must not depend on how many are scored together.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _SILENT
        options.add_session_config_entry("session.load_model_format", "ONNX")
        # A ZipMap makes a dict of each row; what it makes them of is read instead.
        read = with_inner_output(content, output)
        self._session = runtime.InferenceSession(read, options, providers=["CPUExecutionProvider"])
        self._new_options = runtime.RunOptions
        self._tensor = output.tensor
        self._watch = watch

    def __call__(self, feed: Feed) -> Floats | FallbackReason:
        """Return one score per row, or why there are none."""
        try:
            return self.scores(feed)
        except GraphFailed as error:
            return error.reason

    def scores(self, feed: Feed) -> Floats:
        """Return one score per row. Raises `GraphFailed`."""
        rows = len(next(iter(feed.values())))
        options = self._new_options()
        options.log_severity_level = _SILENT
        self._watch.begin(options)
        try:
            found = self._session.run([self._tensor], _filled_up(feed, -rows % _BLOCK_ROWS), options)[0]
        except Exception as error:  # whatever a graph does, a decision goes on without it
            is_late = options.terminate
            raise GraphFailed(FallbackReason.TIMEOUT if is_late else FallbackReason.ERROR, str(error)) from error
        finally:
            self._watch.end(options)
        return _scores(found, rows + -rows % _BLOCK_ROWS)[:rows]


def load_session(content: bytes, output: GraphOutput, watch: RunWatch) -> Predict:
    """Return what runs a graph; without a runtime it says so. Raises `ModelNotReady` when the graph cannot be loaded.

    Takes as long as the graph is large, and the first one loads the runtime: call it in a thread.
    """
    try:
        import onnxruntime  # noqa: PLC0415 - an extra, and half a second that nobody without such models pays
    except ImportError:
        return without_runtime
    try:
        return OnnxSession(onnxruntime, content, output, watch)
    except Exception as error:
        message = f"its graph cannot be loaded: {error}"
        raise ModelNotReady(message) from error


def without_runtime(feed: Feed) -> FallbackReason:
    """Return why there are no scores where the runtime is not installed."""
    del feed
    return FallbackReason.ONNX_RUNTIME_MISSING


def _filled_up(feed: Feed, count: int) -> Mapping[str, Any]:
    """Return the inputs with their last rows repeated."""
    if not count:
        return feed
    return {name: np.concatenate((rows, np.repeat(rows[-1:], count, axis=0))) for name, rows in feed.items()}


def _scores(found: Any, rows: int) -> Floats:
    """Return a column of numbers, or the second of two. Raises `GraphFailed` for anything else."""
    values: NDArray[Any] = np.asarray(found)
    is_column = values.shape in {(rows,), (rows, 1), (rows, 2)}
    if values.dtype.kind != "f" or not is_column:
        raise GraphFailed(FallbackReason.MALFORMED, f"answers {values.dtype} {values.shape} for {rows} rows")
    return values.reshape(rows, -1)[:, -1].astype(np.float64)
