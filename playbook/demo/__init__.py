"""`make demo`: installs, prepares and runs site and worker on this machine.

Everything here runs on the standard library alone, because it starts before any package is installed. It imports no
other package of ours and reaches them as commands.
"""
