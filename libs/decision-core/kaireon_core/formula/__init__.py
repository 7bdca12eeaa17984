"""Formulas: what operators write to compute a number, a text or a condition. No `eval`, no loops, no calls out."""
