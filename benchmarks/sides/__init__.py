"""The sides of the comparison: one module for each kind of server, and how it is driven."""
