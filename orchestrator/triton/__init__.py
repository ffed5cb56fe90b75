"""Triton over gRPC: the only importer of tritonclient."""
