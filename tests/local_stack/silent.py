"""``python -m tests.local_stack.silent``: a launcher that ends slowly: its output is closed."""

import os
import signal

if __name__ == "__main__":
    os.close(1)
    os.close(2)
    signal.pause()
