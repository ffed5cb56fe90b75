"""``python -m tests.local_stack.scripted``: what ``make run`` does, with the scripted model."""

from __future__ import annotations

import sys
from functools import partial
from unittest import mock

from local_stack import __main__ as launcher
from local_stack.plan import make_plan
from testkit.triton import SCRIPTED_MODEL

if __name__ == "__main__":
    with mock.patch.object(launcher, "make_plan", partial(make_plan, triton_arguments=SCRIPTED_MODEL)):
        sys.exit(launcher.main())
