"""`kaireon evaluate`: what another policy would have earned, from a log in a file."""

from __future__ import annotations

import gzip
from contextlib import closing
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import msgspec
import typer

from kaireon_application.errors import InsufficientOverlap, InsufficientRewards, InvalidInput
from kaireon_application.learning.evaluate_policy import evaluated
from kaireon_application.learning.logged_row import log_of
from kaireon_application.learning.off_policy_evaluation import EvaluationResult
from kaireon_application.learning.policy_target import ModelPolicy, TablePolicy, TargetPolicy, target_of_table
from kaireon_cli.output import print_json, print_line
from kaireon_core.learning.off_policy.log import DecisionLog
from kaireon_core.problems import InvalidValue, convert
from kaireon_storage.decision_log_file import READERS

_FORMS = {
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
    ".csv": "text/csv",
    ".parquet": "application/vnd.apache.parquet",
}


def evaluate_policy(
    log: Annotated[Path, typer.Option(help="The log: .ndjson, .jsonl, .csv (each also .gz) or .parquet.")],
    target: Annotated[Path, typer.Option(help="The target, JSON as in `POST /off-policy-evaluations`: a table.")],
    *,
    confidence: Annotated[float, typer.Option(min=0.5, max=0.9999, help="Of the intervals.")] = 0.95,
    clip: Annotated[float | None, typer.Option(help="Hold weights at this number; said in the answer.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the result as the API answers it.")] = False,
) -> None:
    """Estimate from a log what another policy would have earned; no server is needed."""
    if clip is not None and not 0 < clip < float("inf"):
        raise InvalidInput("--clip must be above 0")
    table = _read_target(target)
    found = _evaluated(_read_log(log), table, target, (confidence, clip))
    if json:
        print_json(found)
        return
    for line in _told(found, confidence):
        print_line(line)


def _evaluated(
    log: DecisionLog, table: TablePolicy, file: Path, measure: tuple[float, float | None]
) -> EvaluationResult:
    try:
        return evaluated(log, target_of_table(table, log, path="$"), *measure)
    except InvalidInput as error:
        raise InvalidInput(f"{file}: {error.message}") from None
    except (InsufficientOverlap, InsufficientRewards) as refused:
        raise type(refused)(f"{refused.code}: {refused.message}") from None


def _read_target(file: Path) -> TablePolicy:
    try:
        target = convert(msgspec.json.decode(file.read_bytes()), cast("type[TargetPolicy]", TargetPolicy))
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{file}: {error}") from None
    except InvalidValue as error:
        raise InvalidInput(f"{file}: {error}") from None
    if isinstance(target, ModelPolicy):
        raise InvalidInput(f"{file}: a model is evaluated by the API, which has it; a file can hold a table")
    return target


def _read_log(file: Path) -> DecisionLog:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    is_packed = suffixes[-1:] == [".gz"]
    form = _FORMS.get((suffixes[:-1] if is_packed else suffixes)[-1:][0] if suffixes else "")
    if form is None or (is_packed and form.endswith("parquet")):
        raise InvalidInput(f"{file}: a log ends in {', '.join(_FORMS)}; all but Parquet may end in .gz")
    try:
        with closing(cast("BinaryIO", gzip.open(file) if is_packed else file.open("rb"))) as opened:
            return log_of(list(READERS[form](opened)))
    except (OSError, EOFError) as error:
        raise InvalidInput(f"{file}: {getattr(error, 'strerror', None) or error}") from None
    except InvalidInput as error:
        raise InvalidInput(f"{file}: {error.message}") from None


def _told(found: EvaluationResult, confidence: float) -> list[str]:
    named = (("ips", found.estimators.ips), ("snips", found.estimators.snips), ("dr", found.estimators.dr))
    overlap = found.overlap
    return [
        f"{found.n} rows, which tell as much as {found.effective_sample_size:.0f} of the target's own",
        *(
            f"  {name}: {one.value:.6g} ({confidence:.4g} interval {one.ci_lower:.6g} to {one.ci_upper:.6g})"
            for name, one in named
        ),
        (
            f"  weights: mean {overlap.mean_weight:.4g}, largest {overlap.max_weight:.4g}; "
            f"{overlap.target_mass_not_in_log:.2%} of the target is not in the log"
        ),
    ]
