"""``python -m tests.local_stack.scripted``: what ``make run`` does, with the scripted model."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields
from unittest import mock

from loadtest.stack import ScriptedPlan
from local_stack import __main__ as launcher
from local_stack.plan import Plan, make_plan


def scripted_plan(env: Mapping[str, str]) -> Plan:
    plan = make_plan(env)
    return ScriptedPlan(**{field.name: getattr(plan, field.name) for field in fields(plan)})


if __name__ == "__main__":
    with mock.patch.object(launcher, "make_plan", scripted_plan):
        sys.exit(launcher.main())
