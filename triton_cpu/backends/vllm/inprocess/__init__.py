"""vLLM's engine inside the model's own process, behind the interface of Triton's vLLM backend."""
