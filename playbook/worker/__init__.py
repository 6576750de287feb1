"""The agent on the GPU machine: claims a job from the site, runs the trainer, forwards what it writes.

    loop → job_runner → executors (the trainer process), event_stream, artifacts, checkpoints, heartbeat
                      ↘ retry → client → the site

Talks outbound HTTP(S) alone. Imports contracts; never Django, torch, or the trainer, which it starts as a process.
"""
