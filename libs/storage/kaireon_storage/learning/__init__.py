"""Learners of scikit-learn, as the functions that analyses are made with."""
