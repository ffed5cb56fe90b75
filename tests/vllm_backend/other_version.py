"""``triton_cpu.serve`` with a copy of the backend whose replacements were written for another vLLM."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from triton_cpu import serve
from triton_cpu.layout import Wheel, lay_out_backends


def lay_out_for_another(target: Path, wheel: Wheel) -> Path:
    """As ``lay_out_backends``, but for the version."""
    lay_out_backends(target, wheel)
    module = target / "vllm" / "replacements" / "__init__.py"
    text, changed = re.subn(r'(?m)^WRITTEN_FOR = ".*"$', 'WRITTEN_FOR = "0.0.1"', module.read_text("utf-8"))
    assert changed == 1
    module.write_text(text, encoding="utf-8")
    return target


if __name__ == "__main__":
    vars(serve)["lay_out_backends"] = lay_out_for_another
    sys.exit(serve.main())
