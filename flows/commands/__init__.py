"""Commands: the options of every ``whyspec`` command and their help.

Only ``flows.command_line`` imports from here. Whatever a command does belongs to the folder beside it.
"""
