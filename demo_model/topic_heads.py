"""A help in training, dropped afterwards: reading halfway up the model what is asked and what is told."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from demo_model.encoding import IGNORED, TOPICS, Example


class TopicHeads(nn.Module):  # type: ignore[misc]  # torch is not installed where types are checked
    """Two readers of the topics, of what was asked and of what the answer is about; for training alone.

    Both must be known at one place before they can be compared there, and while either is missing nothing
    rewards the other. The heads reward each, halfway up the model, where the mark is about to be written.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.asked = nn.Linear(width, len(TOPICS))
        self.about = nn.Linear(width, len(TOPICS))

    def forward(self, hidden: torch.Tensor, examples: Sequence[Example]) -> torch.Tensor:
        """Return the loss of both, from hidden [examples, width]; topics that are not known do not count."""
        level = functional.rms_norm(hidden, hidden.shape[-1:])
        asked = torch.tensor([example.asked for example in examples])
        about = torch.tensor([example.about for example in examples])
        return functional.cross_entropy(self.asked(level).float(), asked) + functional.cross_entropy(
            self.about(level).float(), about, ignore_index=IGNORED
        )
