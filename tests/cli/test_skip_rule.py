"""Only what tests/SKIPS lists may skip."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_SKIPPING = 'import pytest\n\n\ndef test_it():\n    pytest.skip("not today")\n'
_MODULE = 'import pytest\n\npytest.skip("not here", allow_module_level=True)\n'


@pytest.mark.parametrize("content", [_SKIPPING, _MODULE], ids=["test", "module"])
@pytest.mark.parametrize(
    ("listed", "code"),
    [("", 1), ("tests/test_other.py*  # elsewhere\n", 1), ("tests/test_it.py*  # needs what is not here\n", 0)],
)
def test_a_skip_that_is_not_listed_fails_the_run(
    clone: Path, tmp_path: Path, content: str, listed: str, code: int
) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    shutil.copy(clone / "tests" / "conftest.py", tests)
    (tests / "SKIPS").write_text(f"# reasons\n{listed}")
    (tests / "test_it.py").write_text(content)
    (tests / "test_passing.py").write_text("def test_passing():\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tests)]
    completed = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert completed.returncode == code, completed.stdout + completed.stderr


def test_a_listed_skip_has_a_reason(tmp_path: Path, clone: Path) -> None:
    tests = tmp_path / "tests"
    tests.mkdir()
    shutil.copy(clone / "tests" / "conftest.py", tests)
    (tests / "SKIPS").write_text("tests/test_it.py*\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tests)]
    completed = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert completed.returncode != 0
    assert "has no reason" in completed.stdout + completed.stderr
