"""`python -m kaireon_mcp.reference`: the table of the tools for docs/reference/mcp.md, on stdout."""

from __future__ import annotations

import sys

from kaireon_mcp.forms import Form
from kaireon_mcp.operations import stored_operations
from kaireon_mcp.tools import TOOLS, Effect

_HEADINGS = {
    Effect.READ: "Tools that store nothing",
    Effect.RECORD: "Tools that store what they have worked out",
    Effect.ADD: "Tools that add something",
    Effect.CHANGE: "Tools that change something",
}


def reference() -> str:
    """Return the tables, one for each effect."""
    return "\n".join(_table(effect, heading) for effect, heading in _HEADINGS.items())


def _table(effect: Effect, heading: str) -> str:
    rows = "".join(_row(Form(tool, stored_operations())) for tool in TOOLS if tool.effect is effect)
    return f"### {heading}\n\n| tool | what it does | arguments | role | calls |\n|---|---|---|---|---|\n{rows}"


def _row(form: Form) -> str:
    required = form.input_schema["required"]
    names = [name if name in required else f"{name}?" for name in form.input_schema["properties"]]
    arguments = ", ".join(f"`{name}`" for name in names)
    role = ", ".join(form.roles)
    return f"| `{form.tool.name}` | {form.tool.description} | {arguments} | {role} | `{form.tool.operation}` |\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
