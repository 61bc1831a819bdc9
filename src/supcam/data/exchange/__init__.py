"""Objects marked by other programs, and for them: COCO, Label Studio, CVAT, FiftyOne."""
