"""Neural models on the engine's scheduler: jobs that ask for a share of a GPU and run a batch of seeds at once.

Nothing here is imported by ``import bandits``: it needs the extra ``neural`` (``pip install 'bandits[neural]'``).
Declarations, jobs and logs (`trials`, `jobs`, `log`) do without torch until a job runs.
"""

NOISE_VERSION = 2  # raised when the same seed and replication log other numbers: other draws, or their precision
