"""A real Triton with vLLM on a machine that has neither Docker nor a GPU."""
