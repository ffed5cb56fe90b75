"""Load on the running service, from one large batch to ten times more jobs than fit (``make load``)."""
