"""A tiny Gemma 2 that marks made-up Catalan classroom answers: for demonstrations and tests only."""
