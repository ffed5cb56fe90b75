"""``python -m avalua_client``: the command line, where the command itself is not on the path."""

import sys

from avalua_client.cli import main

sys.exit(main())
