"""How models are fitted in process."""
