"""What hours of use do: memory that grows, environments that drift apart, processes that are killed at any moment.

``python -m benchmarks.endurance`` plays games for a long time (:mod:`benchmarks.endurance.soak`), and kills recording,
pretraining and training again and again, resumes them and compares the result with that of a run that nobody disturbed
(:mod:`benchmarks.endurance.kills`, :mod:`benchmarks.endurance.jobs`).
"""
