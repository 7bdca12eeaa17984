"""A real OpenSearch, assembled from the jars that Maven Central has: the server, and its HTTP transport as a module."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx

from kaireon_testkit.native.home import find_home
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.spawn import Command
from kaireon_testkit.native.stack import running, session_home

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from kaireon_testkit.native.home import Home

_VERSION = "2.19.1"
_FETCH_SECONDS = 400
_SERVER = (
    ("org.opensearch", "opensearch", _VERSION),
    ("org.opensearch", "opensearch-plugin-classloader", _VERSION),
    ("org.apache.logging.log4j", "log4j-core", "2.21.0"),
)
_TRANSPORT = (("org.opensearch.plugin", "transport-netty4-client", _VERSION),)
_DESCRIPTOR = f"""description=HTTP over Netty
version={_VERSION}
name=transport-netty4
classname=org.opensearch.transport.Netty4Plugin
java.version=11
opensearch.version={_VERSION}
extended.plugins=
has.native.controller=false
"""
_POLICY = """grant codeBase "${codebase.netty-common}" {
   permission java.lang.RuntimePermission "getenv.*";
   permission java.lang.RuntimePermission "accessDeclaredMembers";
   permission java.lang.reflect.ReflectPermission "suppressAccessChecks";
   permission java.net.SocketPermission "*", "accept,connect";
   permission java.io.FilePermission "/proc/sys/net/core/somaxconn", "read";
   permission java.util.PropertyPermission "*", "read,write";
};
grant codeBase "${codebase.netty-transport}" {
   permission java.net.SocketPermission "*", "accept,connect";
};
"""
_LOGGING = """status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%p][%c{1}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
"""


class NoOpenSearch(Exception):
    """There is no Java, no Maven, or no way to Maven Central."""


@contextmanager
def running_opensearch(clone: Path) -> Generator[str]:
    """Run an empty OpenSearch until the block ends; yield its URL. Raises `NoOpenSearch`, `ServerDidNotStart`."""
    programs = _assembled(find_home(clone, clone / "var"))
    with session_home(clone, is_durable=True) as home:
        folder, port = home.folder / "opensearch", free_port()
        command = _configured(home, folder, programs, port)
        url = f"http://127.0.0.1:{port}"
        try:
            with running(command, lambda: _is_answering(url), log=home.folder / "opensearch.log"):
                yield url
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _configured(home: Home, folder: Path, programs: Path, port: int) -> Command:
    # What is started reads and writes below its own folder only.
    for name in ("config", "data", "logs", "modules", "plugins"):
        (folder / name).mkdir(parents=True)
    module = folder / "modules" / "transport-netty4"
    shutil.copytree(programs / "transport", module)
    (module / "plugin-descriptor.properties").write_text(_DESCRIPTOR)
    (module / "plugin-security.policy").write_text(_POLICY)
    (folder / "config" / "log4j2.properties").write_text(_LOGGING)
    (folder / "config" / "opensearch.yml").write_text(
        "node.name: test\nnetwork.host: 127.0.0.1\ndiscovery.type: single-node\n"
        f"http.port: {port}\ntransport.port: {free_port()}\ncluster.routing.allocation.disk.threshold_enabled: false\n"
    )
    shutil.copytree(programs / "server", folder / "lib")
    for path in (folder, *folder.rglob("*")):
        home.own(path, 0o755 if path.is_dir() else 0o644)
    return Command(
        argv=(
            "java", "-Xms256m", "-Xmx256m", "-Djava.security.manager=allow", f"-Dopensearch.path.home={folder}",
            f"-Dopensearch.path.conf={folder / 'config'}", "-Dopensearch.distribution.type=tar",
            f"-Djava.io.tmpdir={folder / 'data'}", "-cp", f"{folder}/lib/*", "org.opensearch.bootstrap.OpenSearch",
        ),
        environment={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        directory=str(folder),
        account=home.account,
    )  # fmt: skip


def _assembled(home: Home) -> Path:
    """Return the folder of the jars, fetched when they are not there yet."""
    if shutil.which("java") is None or shutil.which("mvn") is None:
        raise NoOpenSearch("Java and Maven are needed")
    folder = home.folder / "backends" / f"opensearch-{_VERSION}"
    if not folder.is_dir():
        unfinished = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        _fetch(unfinished / "server", _SERVER)
        _fetch(unfinished / "transport", _TRANSPORT)
        unfinished.rename(folder)
    return folder


def _fetch(folder: Path, artifacts: tuple[tuple[str, str, str], ...]) -> None:
    folder.mkdir(parents=True)
    wanted = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
        for group, name, version in artifacts
    )
    project = folder / "pom.xml"
    project.write_text(
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>t</groupId>'
        f"<artifactId>t</artifactId><version>1</version><dependencies>{wanted}</dependencies></project>"
    )
    argv = ["mvn", "-q", "-B", "-f", str(project), "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
    try:
        subprocess.run(argv, check=True, capture_output=True, text=True, timeout=_FETCH_SECONDS)
    except subprocess.SubprocessError as error:
        raise NoOpenSearch(f"{' '.join(argv)}: {getattr(error, 'stdout', None) or error}") from error
    project.unlink()


def _is_answering(url: str) -> bool:
    try:
        return httpx.get(f"{url}/_cluster/health", timeout=2).json()["status"] in {"green", "yellow"}
    except (httpx.HTTPError, ValueError, KeyError):
        return False
