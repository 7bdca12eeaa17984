"""Categories: what goes with them, and custom fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.api.conftest import Clients

Body = dict[str, Any]


async def test_deleting_a_category_deletes_everything_below(api: Clients) -> None:
    async def create(path: str, **body: Any) -> Body:
        return (await api.editor.post(f"/api/v1/{path}", json=body)).json()

    await create("categories", name="Cards", key="cards")
    await create("sub-categories", name="Credit", key="credit", categoryId="cards")
    await create("channels", name="Web", key="web")
    await create("offers", name="Gold", key="gold", categoryId="cards", subCategoryId="credit")
    await create("offers", name="Loan", key="loan")
    await create("creatives", name="Banner", key="banner", offerId="gold", channelId="web")

    assert (await api.editor.delete("/api/v1/categories/cards")).status_code == 204

    for path in ("categories/cards", "sub-categories/credit", "offers/gold", "creatives/banner"):
        assert (await api.viewer.get(f"/api/v1/{path}")).status_code == 404, path
    for path in ("offers/loan", "channels/web"):
        assert (await api.viewer.get(f"/api/v1/{path}")).status_code == 200, path


async def test_custom_fields_are_checked(api: Clients) -> None:
    fields = [
        {"key": "apr", "type": "number", "defaultValue": 3.5},
        {"key": "apr"},
        {"key": "margin", "type": "computed", "outputType": "number"},
        {"key": "net", "type": "computed", "formula": "price * (1 - "},
        {"key": "colour", "type": "colour"},
    ]

    wrong_type = await api.editor.post("/api/v1/categories", json={"name": "Cards", "customFields": fields})
    wrong_sense = await api.editor.post("/api/v1/categories", json={"name": "Cards", "customFields": fields[:4]})
    created = await api.editor.post("/api/v1/categories", json={"name": "Cards", "customFields": fields[:1]})

    assert wrong_type.status_code == 400
    assert [problem["path"] for problem in wrong_sense.json()["error"]["details"]] == [
        "$.customFields[1].key",
        "$.customFields[2].formula",
        "$.customFields[3].formula",
    ]
    assert "position 13" in wrong_sense.json()["error"]["details"][2]["message"]
    assert created.json()["customFields"][0] == {
        "key": "apr",
        "label": None,
        "type": "number",
        "defaultValue": 3.5,
        "options": [],
        "required": False,
        "formula": None,
        "outputType": None,
    }
