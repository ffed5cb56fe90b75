"""Marks jobs: claims them, sends their items to Triton, and yields what shall be committed."""
