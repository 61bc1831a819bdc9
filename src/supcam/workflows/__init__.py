"""Several folders in one errand; each workflow is imported by the command that runs it."""
