"""la2ds: temporal alignment of human motion from 2D skeleton heatmaps.

Data flows left to right: datasets -> sequence -> projection -> crop -> heatmap -> augmentation -> models ->
objectives -> training -> embedding -> metrics -> evaluation -> report.
"""
