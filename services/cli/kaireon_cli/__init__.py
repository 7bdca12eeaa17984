"""The kaireon command and the local supervisor."""
