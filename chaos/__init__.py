"""Rounds of jobs through the real service while it is killed, cut off and started again; see ``__main__``."""
