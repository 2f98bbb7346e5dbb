"""Pictures say what they were told, whatever is in the names."""

import matplotlib.pyplot as plt
import numpy as np

from pipeline.contact_sheet import Take, contact_sheet
from pipeline.figures import loss_curves
from pipeline.skeleton import load_skeleton

NAME = "a$b_{x$"  # as mathematics it does not parse


def test_a_name_with_dollars_is_written_as_it_is():
    skeleton, rng = load_skeleton("coco_17"), np.random.default_rng(0)
    joints, ones = rng.uniform(0, 60, (4, 17, 2)), np.ones((4, 17))
    take = Take(NAME, skeleton, joints, ones, np.zeros(4, int), (NAME,), 25.0, np.arange(4), (64, 64))
    figure = contact_sheet(take, [0, 3])
    figure.canvas.draw()
    assert figure.get_suptitle() == NAME
    figure, _ = loss_curves({NAME: {(NAME, "seed0"): [9.0, 2.0]}})
    figure.canvas.draw()
    plt.close(figure)


def test_losses_on_a_logarithmic_axis_are_plain_numbers():
    figure, axes = loss_curves({"squat": {("pose2d", "seed0"): [900.0, 20.0, 3.0]}})
    figure.canvas.draw()
    written = [label.get_text() for label in axes[0, 0].get_yticklabels(which="both")]
    plt.close(figure)
    assert {"10", "100"} <= set(written) and not any("$" in text for text in written)
