"""Every command of docs/howto is known, and held as far as it can be without a cluster, Docker and the Internet."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from tests.deploy.test_compose import SERVICES as COMPOSED
from tests.helm.overlay_tables import NODE_GROUP
from tests.helm.rendering import CHART, HELM, RELEASE, flags, helm
from tests.helm.test_environment import accept, environment, our_pods

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs/howto"
COMMANDS: list[dict[str, str]] = tomllib.loads((Path(__file__).parent / "howto_commands.toml").read_text())["commands"]
WAYS = ("chart", "compose", "command", "kubectl")
# Who runs the blocks that are marked bash, each those of its page.
RUNNERS = ("test_howto.py", "test_backup.py")
# What a block is that is none of commands: the language that it is marked with, or how it begins.
LANGUAGES = {"json", "yaml", "sql", "bash"}
SHOWN = ("[Service]", "$ ", "update_offer ")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KUBERNETES = (PAGES / "deploy-kubernetes.md").read_text()


def is_whole(text: str) -> bool:
    """Return whether bash reads a text as whole commands."""
    done = subprocess.run(["/bin/bash", "-nc", text], capture_output=True, text=True, check=False)
    return done.returncode == 0 and not done.stderr and not text.rstrip().endswith("\\")


def commands_of(block: str) -> list[str]:
    """Return the commands of a block, as bash reads them."""
    found: list[str] = []
    taken = ""
    for line in block.splitlines():
        taken = f"{taken}\n{line}".strip("\n")
        if taken and is_whole(taken):
            found.append(taken.strip())
            taken = ""
    assert not taken, f"not a command: {taken}"
    return found


def said(page: Path) -> list[str]:
    """Return every command of a page that is in a block without a language."""
    blocks = [block for language, block in BLOCK.findall(page.read_text()) if language not in LANGUAGES]
    shown = [block for block in blocks if not block.startswith(SHOWN)]
    return [command for block in shown for command in commands_of(block)]


def held(how: str) -> list[Any]:
    return [
        pytest.param(one["text"].strip(), id=f"{one['page']}-{one['text'].strip()[:60]}")
        for one in COMMANDS
        if one["how"] == how
    ]


def words_of(command: str) -> list[str]:
    return shlex.split(command, comments=True)


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.name)
def test_every_command_of_a_page_is_known(page: Path) -> None:
    assert said(page) == [one["text"].strip() for one in COMMANDS if one["page"] == page.name]


def test_blocks_marked_bash_are_on_the_pages_whose_blocks_are_run() -> None:
    marked = {page.name for page in PAGES.glob("*.md") if "```bash\n" in page.read_text()}
    named = re.findall(
        r"docs/howto/([\w-]+\.md)", "".join((ROOT / "tests/deploy" / name).read_text() for name in RUNNERS)
    )
    assert marked == set(named)


def test_what_is_not_run_says_what_it_needs() -> None:
    rest = {one["how"] for one in COMMANDS if one["how"] not in WAYS}
    assert all(re.match(r"needs (a cluster|a Docker engine|the Internet|the API of a cluster)", how) for how in rest)


@pytest.mark.parametrize("text", ["helm install unheard of", "for a in b; do\n  kubectl get a\ndone"])
def test_a_command_more_would_be_seen(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n```\n{text}\n```\n\n```json\n{{}}\n```\n")
    assert said(page) == [text]


@pytest.mark.parametrize("command", held("chart"))
def test_chart_takes_what_a_page_gives_helm(command: str, tmp_path: Path) -> None:
    """The page's own `yours.yaml` lies where the page says; what is applied is rendered instead."""
    (yours,) = (block for language, block in BLOCK.findall(KUBERNETES) if language == "yaml")
    (tmp_path / "yours.yaml").write_text(yours)
    (tmp_path / "helm").symlink_to(ROOT / "helm")
    words = words_of(command)[1:]
    if words[0] == "upgrade":
        words = ["template", *(word for word in words[1:] if word not in {"--install", "--atomic"})]
    done = subprocess.run([HELM, *words], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    if words[0] == "lint":
        assert "0 chart(s) failed" in done.stdout
        return
    objects = [one for one in yaml.safe_load_all(done.stdout) if one]
    pods = [one["spec"]["template"]["spec"] for one in objects if one["kind"] == "Deployment"]
    images = {container["image"] for pod in pods for container in pod["containers"]}
    built = re.search(r"for tier in (.+); do", KUBERNETES)
    assert built is not None
    assert images <= {f"registry.example.com/kaireon-{tier}:0.1.0" for tier in built[1].split()}
    assert any(image.startswith("registry.example.com/kaireon-cli:") for image in images)


def test_tiers_start_with_the_values_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (yours,) = (block for language, block in BLOCK.findall(KUBERNETES) if language == "yaml")
    (tmp_path / "yours.yaml").write_text(yours)
    files = ("values.yaml", "values-large.yaml", str(tmp_path / "yours.yaml"))
    text = helm("template", RELEASE, str(CHART), *flags(files, ()))
    objects = [one for one in yaml.load_all(text, yaml.CSafeLoader) if one]
    for tier, pod in our_pods(objects):
        accept(tier, environment(objects, pod), monkeypatch)


def test_nodes_get_the_label_and_the_taint_that_the_api_wants() -> None:
    ((key, value),) = NODE_GROUP.items()
    assert f"kubectl label nodes NODE {key}={value}\nkubectl taint nodes NODE {key}={value}:NoSchedule\n" in KUBERNETES


def test_every_tier_is_built() -> None:
    built = re.search(r"for tier in (.+); do", KUBERNETES)
    assert built is not None
    assert sorted(built[1].split()) == sorted(path.parent.name for path in (ROOT / "services").glob("*/pyproject.toml"))


@pytest.mark.parametrize("command", held("compose"))
def test_compose_has_what_a_page_asks_of_it(command: str) -> None:
    words = words_of(command)
    if words[0] == "cp":
        assert (ROOT / words[1]).is_file()
        return
    assert words[:2] == ["docker", "compose"]
    given, verb = words[2:], next(word for word in words[2:] if word in {"up", "run"})
    options = list(pairwise(given))
    assert all((ROOT / name).is_file() for option, name in options if option == "-f")
    known = {profile for service in COMPOSED.values() for profile in service.get("profiles", [])}
    assert {name for option, name in options if option == "--profile"} <= known
    if verb == "run":
        service = given[given.index("--rm") + 1]
        assert COMPOSED[service]["build"]["args"] == {"SERVICE": "cli"}
        assert shlex.join(given[given.index(service) + 1 :]) in {
            shlex.join(words_of(one)[words_of(one).index("kaireon") + 1 :]) for one in commands_run()
        }


def commands_run() -> list[str]:
    return [one["text"].strip() for one in COMMANDS if one["how"] == "command"]


def test_commands_of_the_pages_run_on_a_migrated_database(database_url: str, redis_url: str) -> None:
    """Each as its pod would run it; the doctor finds what is away, and nothing else."""
    answers: dict[str, subprocess.CompletedProcess[str]] = {}
    for command in reversed(commands_run()):
        place = words_of(command).index("kaireon")
        arguments, given = words_of(command)[place + 1 :], words_of(command)[:place]
        answers[arguments[0]] = subprocess.run(
            [Path(sys.executable).parent / "kaireon", *arguments],
            env={
                "PATH": os.environ["PATH"],
                "DATABASE_URL": database_url,
                "REDIS_URL": redis_url,
                "API_KEY_PEPPER": "p" * 48,
                "KAIREON_API_URL": "http://127.0.0.1:1",
                **dict(word.split("=", 1) for word in given if "=" in word),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert answers.keys() == {"tenant", "doctor", "store"}
    assert "--table-name=kaireon_interactions" in answers["store"].stdout
    assert json.loads(answers["tenant"].stdout).keys() == {"tenantId", "key", "name", "apiKey"}
    told = answers["doctor"]
    assert (told.returncode, told.stderr) == (1, "")
    assert {line.split()[1] for line in told.stdout.splitlines() if line.startswith("fail")} == {"api"}


def test_installation_names_packages_of_the_workspace() -> None:
    (sync,) = (one["text"] for one in COMMANDS if one["text"].startswith("uv sync"))
    words = words_of(sync)
    members = [tomllib.loads(path.read_text())["project"] for path in (ROOT / "services").glob("*/pyproject.toml")]
    named = {name for option, name in pairwise(words) if option == "--package"}
    chosen = [cast("dict[str, Any]", member) for member in members if member["name"] in named]
    assert {member["name"] for member in chosen} == named == {"kaireon-api", "kaireon-cli"}
    extras = {extra for member in chosen for extra in member.get("optional-dependencies", {})}
    assert {name for option, name in pairwise(words) if option == "--extra"} <= extras
