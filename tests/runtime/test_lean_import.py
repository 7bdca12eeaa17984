"""A package imported without its optional ones."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kaireon_runtime.lean_import import without


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `leaning`, which takes `optional_half` where it is there."""
    (tmp_path / "optional_half.py").write_text("")
    text = "try:\n    import optional_half\n    has_half = True\nexcept ImportError:\n    has_half = False\n"
    (tmp_path / "leaning.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("leaning", "optional_half"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def _has_half() -> bool:
    sys.modules.pop("leaning", None)
    return __import__("leaning").has_half


@pytest.mark.usefixtures("packages")
def test_what_is_hidden_is_not_imported_and_is_there_again_afterwards() -> None:
    finders = list(sys.meta_path)
    with without("optional_half"):
        assert not _has_half()
    assert _has_half()
    assert sys.meta_path == finders


@pytest.mark.usefixtures("packages")
def test_another_thread_finds_what_is_hidden_from_this_one() -> None:
    found: list[bool] = []
    with without("optional_half"):
        other = threading.Thread(target=lambda: found.append(_has_half()))
        other.start()
        other.join()
    assert found == [True]


def test_whoever_scores_by_trees_loads_none_of_the_packages_that_lightgbm_can_work_with() -> None:
    program = (
        "import sys, numpy as np, lightgbm\n"
        "data = lightgbm.Dataset(np.arange(40.0).reshape(20, 2), np.arange(20.0), params={'min_data_in_leaf': 2})\n"
        "sys.stdout.write(lightgbm.train({'verbosity': -1, 'min_data_in_leaf': 2}, data, 2).model_to_string())\n"
    )
    trained = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    program = (
        "import sys, numpy as np\n"
        "from kaireon_storage.boosting import load_trees\n"
        "print(load_trees(sys.stdin.read()).raw(np.zeros((3, 2))).shape)\n"
        "print(sorted({'sklearn', 'pandas', 'pyarrow'} & sys.modules.keys()))\n"
    )
    scored = subprocess.run(
        [sys.executable, "-c", program], input=trained.stdout, capture_output=True, text=True, check=False
    )
    assert scored.stdout.splitlines() == ["(3,)", "[]"], scored.stderr
