"""Opens mutated files of every kind that eanet opens, each in a process of its own with limits.

A file may be read, or refused in one line that names what is wrong. It is a finding if it ends in
another exception, a crash, more time or memory than files so small may take, a file changed outside
its folder, or another program, a connection or a pickle.

Usage: python -m tools.fuzz [--inputs N] [--seed N] [--kind KIND ...] [--keep FOLDER]
"""
