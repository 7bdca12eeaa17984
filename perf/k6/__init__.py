"""k6 against the API at a fixed rate of arrivals, in turn with a floor; `python -m perf.k6`."""
