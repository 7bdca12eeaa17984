"""How long each class of data is kept, and what is on legal hold, over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec

from kaireon_api.operation import READ_ERRORS, WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_application.catalog.forms import Pagination
from kaireon_application.platform.data_class import RetentionConfig, RetentionForm, read_retention

_PATH = "/api/v1/admin/retention-configs"


class RetentionList(msgspec.Struct, frozen=True, kw_only=True):
    """Every class, on one page."""

    data: list[RetentionConfig]
    pagination: Pagination


async def _list(call: Call[Any]) -> Reply:
    found = await read_retention(call.services.governance.retention_configs, call.tenant_id)
    pagination = Pagination(total=len(found), limit=len(found), has_more=False, next_cursor=None)
    return Reply(content=RetentionList(data=found, pagination=pagination))


async def _change(call: Call[RetentionForm]) -> Reply:
    configs = call.services.governance.retention_configs
    await configs.change(call.tenant_id, call.body, call.actor)
    found = await read_retention(configs, call.tenant_id)
    return Reply(content=next(one for one in found if one.data_class is call.body.data_class))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path=_PATH,
        role=Role.ADMIN,
        handler=_list,
        summary="How long each class of data is kept, and what is on legal hold",
        answers={200: RetentionList, **READ_ERRORS},
    ),
    Operation(
        method="POST",
        path=_PATH,
        role=Role.ADMIN,
        handler=_change,
        summary="Set for how long a class is kept, or put it on legal hold; what is not sent stays",
        body=RetentionForm,
        example={"dataClass": "decisions", "retentionDays": 90, "legalHold": False},
        answers={200: RetentionConfig, **WRITE_ERRORS},
    ),
)
