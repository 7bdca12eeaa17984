"""The pack's data, read once."""

from __future__ import annotations

import pandas as pd
import pytest

from kaireon_worker.samples.completejourney.history import redemptions
from kaireon_worker.samples.completejourney.offers import OfferFacts, offer_facts
from kaireon_worker.samples.completejourney.source import Source, load_source


@pytest.fixture(scope="session")
def source() -> Source:
    """The published tables."""
    return load_source()


@pytest.fixture(scope="session")
def redeemed(source: Source) -> pd.DataFrame:
    """The redemptions, each with its department and its purchase."""
    return redemptions(source)


@pytest.fixture(scope="session")
def facts(source: Source, redeemed: pd.DataFrame) -> list[OfferFacts]:
    """What the data says about each offer."""
    return offer_facts(source, redeemed)
