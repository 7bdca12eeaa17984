"""`kaireon doctor`: one file for each server that is looked at."""
