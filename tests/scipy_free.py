"""Slow plain references for statistics."""

from __future__ import annotations

import numpy as np


def slow_auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """How often a positive scores above a negative, pair by pair."""
    wins = 0.0
    for high in scores[positive]:
        for low in scores[~positive]:
            wins += 1.0 if high > low else 0.5 if high == low else 0.0
    return wins / (positive.sum() * (~positive).sum())


def slow_logistic(
    states: np.ndarray, labelled: np.ndarray, present: np.ndarray, ridge: float
) -> tuple[list[float], list[float], np.ndarray]:
    """Ridge logistic regression of each modality by damped Newton steps on a dense design."""
    classes = states.shape[2]
    own, other, offsets = [], [], []
    for modality in range(2):
        rows, targets = [], []
        for video, label in np.argwhere(labelled[:, modality]):
            one_hot = np.eye(classes)[label]
            evidence = [states[video, modality, label], states[video, 1 - modality, label]]
            rows.append([*evidence, 1.0, *one_hot])
            targets.append(float(present[video, modality, label]))
        design, target = np.array(rows), np.array(targets)
        penalty = np.array([0.1, ridge, 0.0, *[ridge] * classes])
        centre = np.array([0.5, 0.0, 0.0, *[0.0] * classes])
        weights = centre.copy()
        for _ in range(200):
            probability = 1 / (1 + np.exp(-design @ weights))
            gradient = design.T @ (probability - target) + 2 * penalty * (weights - centre)
            spread = probability * (1 - probability)
            curvature = design.T @ (design * spread[:, None]) + np.diag(2 * penalty + 1e-9)
            weights = weights - 0.5 * np.linalg.solve(curvature, gradient)
        own.append(float(weights[0]))
        other.append(float(weights[1]))
        offsets.append(weights[2] + weights[3:])
    return own, other, np.array(offsets)
