"""Schedules: functions of how much of the training is done, nothing else."""

from __future__ import annotations

from spacetime_env.config import Schedule


def value_at(schedule: Schedule, progress: float) -> float:
    """The schedule's value when ``progress`` (0 to 1) of the training is done: linear between its two ends."""
    if progress <= schedule.begin or schedule.until <= schedule.begin:
        return schedule.start if progress <= schedule.begin else schedule.end
    if progress >= schedule.until:
        return schedule.end
    part = (progress - schedule.begin) / (schedule.until - schedule.begin)
    return schedule.start + (schedule.end - schedule.start) * part
