"""The commands that a person starts: a module for each, with its command line and its exit status.

In: the words of a command line. Out: an exit status, what is printed, and files.

==============  =====================  ==========================================
module          command                what it does
==============  =====================  ==========================================
record          create_dataset.py      records frames of a game
pretrain        pretrain_space.py      trains a model, or with --sweep several
evaluate        evaluate.py            measures a model
train_agent     train_agent.py         trains an agent on the objects
==============  =====================  ==========================================
"""
