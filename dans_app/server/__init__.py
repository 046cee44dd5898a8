"""What the server does for all screens: training jobs, helper processes, caches."""
