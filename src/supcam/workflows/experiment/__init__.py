"""``supcam experiment``: a plan of many recipes -> one result file a run -> a table and a plot."""
