"""What a person starts: one module a command, with its command line and its exit status.

``record`` is ``create_dataset.py``, ``pretrain`` is ``pretrain_space.py``, ``evaluate`` is ``evaluate.py``, and
``train_agent`` is ``train_agent.py``. In: words of a command line. Out: an exit status, and files. No other room knows
of this one.
"""
