"""The error of this room."""

from __future__ import annotations


class AgentError(ValueError):
    """An agent, or a request to train one, that cannot be used; the message says why and what to do."""
