"""Java servers assembled from Maven Central, fetched once for this user; needs `mvn` and Java 17."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

_LEAST_JAVA = 17
_FETCH_SECONDS = 600
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>kaireon</groupId>
  <artifactId>{artifact}-jars</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>{group}</groupId>
      <artifactId>{artifact}</artifactId>
      <version>{version}</version>
    </dependency>
  </dependencies>
</project>
"""


class JarsUnavailable(Exception):
    """There is no `mvn`, no Java 17, or Maven Central cannot be reached."""


def fetched_jars(group: str, artifact: str, version: str) -> Path:
    """Return the folder of an artifact and all it needs. Raises `JarsUnavailable`."""
    if not _has_java() or shutil.which("mvn") is None:
        raise JarsUnavailable
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kaireon"
    jars = cache / f"{artifact}-{version}"
    if jars.is_dir():
        return jars
    fetching = cache / f"{artifact}-{version}.{os.getpid()}"
    fetching.mkdir(parents=True)
    try:
        (fetching / "pom.xml").write_text(_POM.format(group=group, artifact=artifact, version=version))
        subprocess.run(
            ["mvn", "--quiet", "--batch-mode", _COPY, "-DoutputDirectory=jars", "-DincludeScope=runtime"],  # noqa: S607
            cwd=fetching,
            check=True,
            capture_output=True,
            timeout=_FETCH_SECONDS,
        )
        (fetching / "jars").rename(jars)
    except (subprocess.SubprocessError, OSError) as error:
        if not jars.is_dir():  # somebody else was faster
            raise JarsUnavailable from error
    finally:
        shutil.rmtree(fetching, ignore_errors=True)
    return jars


def _has_java() -> bool:
    if shutil.which("java") is None:
        return False
    told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S607
    found = re.search(r'version "(\d+)', told)
    return found is not None and int(found[1]) >= _LEAST_JAVA
