"""Pure decision engine: facts and a compiled flow in, a decision and its reasons out."""
