"""A game day: an alarm is no alarm until somebody has seen it arrive. Scenes against parts of its own, or a user's.

To add a scene: one function in scenes.py and one line in its tuple.
"""
