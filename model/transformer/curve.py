"""Draws the curves of a training as it goes; a resumed one goes on where the killed one stood."""

from dataclasses import asdict
from typing import Any

from model.curves import CurvePoint

POINTS = 200  # of the loss, in a whole training


class Curve:
    """Points so far, and the losses since the last of them."""

    def __init__(self, steps: int) -> None:
        self.every = max(1, steps // POINTS)
        self.points: list[CurvePoint] = []
        self.losses: list[float] = []

    def trained(self, step: int, loss: float, learning_rate: float) -> None:
        self.losses.append(loss)
        if step % self.every == 0:
            self.points.append(CurvePoint(step, sum(self.losses) / len(self.losses), learning_rate))
            self.losses = []

    def judged(self, step: int, judgement: float) -> None:
        self.points.append(CurvePoint(step, judgement=judgement))

    def state(self) -> dict[str, Any]:
        return {"points": [asdict(point) for point in self.points], "losses": list(self.losses)}

    def restore(self, state: dict[str, Any]) -> None:
        self.points = [CurvePoint(**point) for point in state["points"]]
        self.losses = list(state["losses"])
