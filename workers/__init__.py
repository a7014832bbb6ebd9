"""Claims runs, drives them, and has their jobs evaluated by Ray."""

from nas import settings

settings.prepare(*settings.RAY)  # which Ray reads when it is imported
