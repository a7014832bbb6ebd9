"""Tests compute on one thread, as coordinators and evaluations do.

The processes that they start do, too. Threads that wait for each other on a busy machine take twenty times as long.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # here, as numpy and torch read it when they are imported
