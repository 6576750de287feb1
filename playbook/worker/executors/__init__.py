"""Where the trainer runs: `local` starts it as a process group on this machine."""
