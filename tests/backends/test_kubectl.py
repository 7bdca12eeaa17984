"""What the page on Kubernetes has kubectl make, made by the real client without a cluster."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from kaireon_testkit.native.debian import NoProgram, find_program
from kaireon_testkit.native.home import find_home
from tests.deploy.test_howto_commands import COMMANDS
from tests.helm.rendering import CHART

pytestmark = pytest.mark.backends
COMMON = """
kubectl() { "$KUBECTL" "$@" --dry-run=client --output=yaml; echo ---; }
"""


@pytest.fixture
def program(clone: Path) -> Path:
    try:
        return find_program(find_home(clone, clone / "var"), "usr/bin/kubectl", ["kubernetes-client"])
    except NoProgram as error:
        pytest.skip(str(error))


def test_client_makes_the_namespace_and_the_secret_of_the_page(program: Path, tmp_path: Path) -> None:
    commands = [one["text"].strip() for one in COMMANDS if one["how"] == "kubectl"]
    done = subprocess.run(
        ["/bin/bash", "-euc", COMMON + "\n".join(commands)],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECTL": str(program), "KUBECONFIG": "/dev/null"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    namespace, secret = (one for one in yaml.safe_load_all(done.stdout) if one)
    assert (namespace["kind"], namespace["metadata"]["name"]) == ("Namespace", "kaireon")
    wanted = yaml.safe_load((CHART / "values.yaml").read_text())["secret"]
    assert (secret["kind"], secret["metadata"]["name"]) == ("Secret", wanted["existingSecret"])
    assert sorted(secret["data"]) == sorted(wanted["keys"])
    kept = [base64.b64decode(text) for text in secret["data"].values()]
    assert len(set(kept)) == len(kept)
    assert all(len(text) >= 32 for text in kept)
