"""The bands of scores of a night's sample, and how few rows a sample may have. Imports nothing that takes seconds."""

from distill.evaluation.stratified import LEAST

# The scores at which a band begins; dense from 0.8 on, where thresholds are chosen. Those from
# CANDIDATES_FROM on are the thresholds that can be certified (distill/evaluation/certification.py).
BAND_EDGES = (0.05, 0.2, 0.5, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94, 0.96, 0.98, 0.99, 0.995, 0.998, 0.999)
CANDIDATES_FROM = 0.5
BANDS = len(BAND_EDGES) + 1
LEAST_SAMPLE = LEAST * (BANDS + 1)  # a threshold divides one band into two strata
