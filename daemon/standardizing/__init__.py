"""What an incident teaches the rules: changes of their files, to be gone over and applied.

`proposals` finds them, `thresholds` replays the incident to find one that would have told earlier.
"""
