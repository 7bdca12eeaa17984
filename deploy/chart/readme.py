"""The chart's README: every key of values.yaml with its default and the comment above it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_KEY = re.compile(r"(?P<indent> *)(?P<key>\w+):(?: (?P<value>.+))?")
_INDENT = 2

_HEAD = """\
# The Kaireon chart

<!-- Made from values.yaml by `python -m deploy.chart`; change the comments there. -->

```
helm upgrade --install kaireon ./helm -f helm/values.yaml -f helm/values-large.yaml
```

From nothing to production: [docs/howto/deploy-kubernetes.md](../docs/howto/deploy-kubernetes.md). `values.yaml` is a
small installation, `values-large.yaml` layers the large topology over it, and `ci/` has one file for each topology
that the tests render. `values.schema.json` refuses keys that are not below; what cannot be is refused with its remedy,
and what is named and not filled in is told in the notes (`strict: true` refuses it too).

These exist in the overlay only; the chart takes them as aliases:

| key | default there | what it is |
|---|---|---|
| `postgresExternalReplicas` | `2` | Read replicas that you keep. Advisory: written on the ConfigMap, nothing more. |
| `eventbus.enabled` | `true` | false falls back to `redis`. |
| `eventbus.backend` | `kafka` | In place of `config.EVENT_PUBLISHER`. |
| `interactionStore.backend` | `dynamodb` | In place of `config.INTERACTION_STORE`. |

| key | default | what it is |
|---|---|---|
"""


def readme(values: Path) -> str:
    """Return `helm/README.md` for a file of values."""
    return _HEAD + "".join(_rows(values.read_text(encoding="utf-8").splitlines()))


def _rows(lines: list[str]) -> Iterator[str]:
    path: list[str] = []
    comment: list[str] = []
    for line in lines:
        if line.lstrip().startswith("#"):
            comment.append(line.strip().removeprefix("#").strip())
            continue
        found = _KEY.fullmatch(line)
        if found is not None:
            depth = len(found["indent"]) // _INDENT
            path[depth:] = [found["key"]]
            if found["value"] is not None or comment:
                yield _row(".".join(path), found["value"], " ".join(comment))
        comment = []


def _row(key: str, value: str | None, comment: str) -> str:
    default = "" if value is None else f"`{value}`"
    return f"| `{key}` | {default.replace('|', chr(92) + '|')} | {comment.replace('|', chr(92) + '|')} |\n"
