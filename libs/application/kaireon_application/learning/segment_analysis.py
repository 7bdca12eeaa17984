"""Auto-segmentation: the rows of a schema in clusters, each with the segment that would pick it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entities, Entity
from kaireon_application.catalog.read_entity import get_entity
from kaireon_application.customers.schema_data import Row
from kaireon_application.customers.schema_table import SchemaTable, table_of
from kaireon_application.errors import NoFields, NotFound, UnknownField
from kaireon_application.learning.analysis import Analysis, Engine, SegmentsPlan
from kaireon_core.column import Column, Floats, Mask
from kaireon_core.learning.cluster_filters import ClusterFilters, Step, best_filters
from kaireon_core.learning.cluster_matrix import ClusterField, IgnoredField, cluster_matrix
from kaireon_core.learning.cluster_profile import ClusterProfile, Labels, cluster_name, describe_cluster
from kaireon_core.learning.feature import FEATURE_KINDS
from kaireon_core.problems import Problem

# What a mean silhouette says about the rows: Kaufman and Rousseeuw, Finding Groups in Data (1990), table 4.
_STRUCTURES = ((0.70, "strong"), (0.50, "reasonable"), (0.25, "weak"))


class Silhouette(msgspec.Struct, frozen=True, kw_only=True):
    """How well so many clusters part the rows, from -1 to 1."""

    clusters: int
    silhouette: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustering:
    """The cluster of each row (n,), numbered from the largest down, and how other numbers of clusters did."""

    labels: Labels
    silhouette: float
    silhouettes: tuple[Silhouette, ...]


class SuggestedSegment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A body for `POST /segments`."""

    name: str
    description: str
    base_schema_id: str
    filters: list[dict[str, Any]]
    status: str = "draft"


class Cluster(ClusterProfile, frozen=True, kw_only=True):
    """One cluster. `segment` is null where no conditions pick it out, or a row is no customer's.

    `matching` rows of those analysed satisfy the segment's filters; `precision` of them are members, and `recall` of
    the members are among them.
    """

    name: str
    segment: SuggestedSegment | None
    matching: int | None
    precision: float | None
    recall: float | None


class SegmentAnalysis(Analysis, frozen=True, kw_only=True):
    """The answer: clusters from the largest down, and how sure one may be that there are any."""

    schema_id: UUID
    schema_key: str
    fields: list[str]
    ignored_fields: list[IgnoredField]
    cluster_count: int
    silhouette: float
    structure: str
    silhouettes: list[Silhouette]
    clusters: list[Cluster]


class RowSample(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows of a table and how many there are."""

    rows: list[Row]
    total: int


class SchemaSamples(Protocol):
    """Reads samples of tenants' own tables. Both raise `Unavailable` while the storage is down or too slow."""

    async def count(self, tenant_id: UUID, table: SchemaTable) -> int:
        """Return how many rows there are. Raises `Conflict` for a table that is gone."""
        ...

    async def sample(
        self, tenant_id: UUID, table: SchemaTable, columns: Sequence[str], seed: int, limit: int
    ) -> RowSample:
        """Return at most so many rows, the same ones in the same order for the same seed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLearner:
    """The learners: `cluster(values, most, seed, check)` parts rows, `leaves(values, members)` describes a part."""

    cluster: Callable[[Floats, int, int, Callable[[], None]], Clustering]
    leaves: Callable[[Floats, Mask], Sequence[Sequence[Step]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentsWork:
    """What is known before rows are read: the schema, its table, and the fields to compare, with their types."""

    schema: Entity
    table: SchemaTable
    fields: tuple[str, ...]


async def segments_work(entities: Entities, plan: SegmentsPlan) -> SegmentsWork:
    """Return what to read.

    Raises `NotFound` for an unknown schema, `UnknownField` and `NoFields` for fields that cannot be compared.
    """
    request = plan.request
    try:
        schema = await get_entity(entities, plan.tenant_id, "schema", request.schema_key)
    except NotFound:
        message = f"there is no schema {request.schema_key!r} in this tenant"
        raise NotFound.reference("$.schemaKey", message) from None
    table = table_of(schema.body)
    if request.fields is None:
        return SegmentsWork(schema=schema, table=table, fields=_comparable(schema, table))
    problems = list[Problem]()
    for index, name in enumerate(request.fields):
        column = table.column(name)
        if column is None or column.data_type not in FEATURE_KINDS:
            wrong = f"is not a field of the schema {schema.key}" if column is None else f"is a {column.data_type}"
            problems.append(Problem(path=f"$.fields[{index}]", message=f"{wrong}: name numbers, texts or booleans"))
    if problems:
        raise UnknownField.of(problems)
    return SegmentsWork(schema=schema, table=table, fields=tuple(dict.fromkeys(request.fields)))


def _comparable(schema: Entity, table: SchemaTable) -> tuple[str, ...]:
    """Return the fields that are compared when none is named: the schema's predictors, else all that can be."""
    customer = table.customer_column
    names = [
        column.name
        for column in table.columns
        if column.data_type in FEATURE_KINDS and not (column.is_primary_key or column.is_unique or column == customer)
    ]
    predictors = {one["name"] for one in schema.body["fields"] if one["isPredictor"]}
    chosen = tuple(name for name in names if name in predictors) or tuple(names)
    if not chosen:
        raise NoFields(f"the schema {schema.key} has no number, text or boolean besides its keys")
    return chosen


def find_clusters(
    work: SegmentsWork,
    sample: RowSample,
    plan: SegmentsPlan,
    engine: Engine,
    learner: ClusterLearner,
    check: Callable[[], None],
) -> SegmentAnalysis:
    """Return the clusters of these rows. Raises `AnalysisRefused`, and whatever `check` raises."""
    request = plan.request
    matrix = cluster_matrix(_fields(work, sample.rows), len(sample.rows))
    found = learner.cluster(matrix.values, request.max_clusters, request.seed, check)
    clusters = list[Cluster]()
    for label in range(int(found.labels.max()) + 1):
        check()
        members = found.labels == label
        filters = best_filters(matrix, members, learner.leaves(matrix.values, members))
        clusters.append(_cluster(work, describe_cluster(matrix, members), filters, label + 1))
    return SegmentAnalysis(
        engine=engine,
        sampled=len(sample.rows) < sample.total,
        sample_size=len(sample.rows),
        total_rows=sample.total,
        seed=request.seed,
        schema_id=work.schema.id,
        schema_key=work.schema.key,
        fields=[field.name for field in matrix.fields],
        ignored_fields=list(matrix.ignored),
        cluster_count=len(clusters),
        silhouette=found.silhouette,
        structure=next((name for least, name in _STRUCTURES if found.silhouette > least), "none"),
        silhouettes=list(found.silhouettes),
        clusters=clusters,
    )


def _fields(work: SegmentsWork, rows: Sequence[Row]) -> list[ClusterField]:
    kinds = {
        column.name: FEATURE_KINDS[column.data_type] for column in work.table.columns if column.name in work.fields
    }
    return [
        ClusterField(name=name, kind=kinds[name], column=_column([row[name] for row in rows])) for name in work.fields
    ]


def _column(values: Sequence[Any]) -> Column:
    return Column.from_values(values) if values else Column.nulls(0)


def _cluster(work: SegmentsWork, profile: ClusterProfile, filters: ClusterFilters | None, number: int) -> Cluster:
    name = cluster_name(number, profile.distinguishing)
    segment = None
    if filters is not None and work.table.customer_column is not None:
        told = f"precision {filters.precision:.0%}, recall {filters.recall:.0%} of the rows that were analysed"
        segment = SuggestedSegment(
            name=name,
            description=f"Suggested by auto-segmentation: {told}.",
            base_schema_id=str(work.schema.id),
            filters=[msgspec.structs.asdict(one) for one in filters.filters],
        )
    return Cluster(
        **msgspec.structs.asdict(profile),
        name=name,
        segment=segment,
        matching=None if filters is None else filters.matching,
        precision=None if filters is None else filters.precision,
        recall=None if filters is None else filters.recall,
    )
