"""A SYNTHETIC person as a shaded figure: a set of parts, each the hull of a few balls, painted from the farthest on.

Left and right can be told as in life only: by face, feet and the buttons of the shirt. Shapes: K joints of `coco_17`.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.scene import CIRCLE, SUBPIXEL_BITS, Camera, draw_colour
from pipeline.skeleton import load_skeleton

SKELETON = load_skeleton("coco_17")
INDEX = {name: index for index, name in enumerate(SKELETON.joints)}
FEET = [INDEX["left_ankle"], INDEX["right_ankle"]]
SHADES = ((0.55, 1.0, 0.0), (0.8, 0.82, 0.12), (1.0, 0.55, 0.28))  # brightness, radius, shift to the light, in radii
FLAT = ((1.0, 1.0, 0.0),)


@dataclass(frozen=True)
class Look:
    """What a person wears. build: factor on all widths; the rest are RGB colours."""

    build: float
    skin: np.ndarray
    hair: np.ndarray
    shirt: np.ndarray
    sleeves: np.ndarray
    trousers: np.ndarray
    legs: np.ndarray
    shoes: np.ndarray
    buttons: np.ndarray
    wristbands: np.ndarray


@dataclass(frozen=True)
class Part:
    """One part in the picture: the hull of discs (n, 3) of x, y, radius in pixels. joints: indices that it shows.

    distance_m: from the viewer, by which parts hide each other. flat: without shading.
    """

    discs: np.ndarray
    colour: np.ndarray
    distance_m: float
    joints: tuple[int, ...]
    flat: bool

    def outline(self, share: float = 1.0, offset: np.ndarray | float = 0.0) -> np.ndarray:
        """(n, 1, 2) int32 corners in 1/16 pixel, of the hull with smaller discs moved by `offset` of their radii."""
        corners = self.discs[:, None, :2] + self.discs[:, None, 2:] * (share * CIRCLE + offset)
        return cv2.convexHull(np.rint(corners.reshape(-1, 2) * 2**SUBPIXEL_BITS).astype(np.int32))


def draw_look(rng: np.random.Generator) -> Look:
    """The look of one person."""
    skin = np.array([95, 60, 45]) + rng.random() * np.array([145, 135, 125])
    hair = np.array([(30, 24, 22), (70, 45, 30), (125, 85, 45), (190, 160, 105), (130, 128, 125)])[rng.integers(5)]
    shirt, trousers, shoes = (draw_colour(rng) for _ in range(3))
    return Look(
        build=rng.uniform(0.85, 1.2),
        skin=skin,
        hair=hair,
        shirt=shirt,
        sleeves=shirt if rng.random() < 0.75 else skin,
        trousers=trousers,
        legs=trousers if rng.random() < 0.6 else skin,
        shoes=shoes,
        buttons=shirt * 0.35 if shirt.mean() > 110 else 255 - (255 - shirt) * 0.4,
        wristbands=255 - skin,
    )


def figure(joints: np.ndarray, camera: Camera, look: Look) -> list[Part]:
    """The parts of a person, the farthest first; joints (K, 3) in the camera's axes."""
    at = dict(zip(SKELETON.joints, joints, strict=True))
    shoulders, hips, ears = ((at[f"left_{name}"] + at[f"right_{name}"]) / 2 for name in ("shoulder", "hip", "ear"))
    left, left_hip, left_ear = (_unit(at[f"left_{name}"] - at[f"right_{name}"]) for name in ("shoulder", "hip", "ear"))
    spine, face = shoulders - hips, _unit(at["nose"] - ears)
    chest, belly, crown = _unit(np.cross(left, spine)), _unit(np.cross(left_hip, spine)), np.cross(face, left_ear)
    width = look.build * np.linalg.norm(spine) / 0.49
    head = np.linalg.norm(at["left_ear"] - at["right_ear"]) / 0.168
    skull = ears + 0.02 * head * crown
    # The trunk hides the shoulder and the hip of its far side where it is seen from the side.
    trunk = [
        f"{side}_{name}"
        for name, away in (("shoulder", left), ("hip", left_hip))
        for side, sign in (("left", 1), ("right", -1))
        if sign * away @ -_unit(hips) > -0.8
    ]
    parts: list[Part] = []

    def add(colour, *balls, shows=(), outward=None, limit=-0.25, unit=width, flat=False, nearer=0.0):
        """A part of balls (centre, radius in `unit`) that shows some joints, on the side to which `outward` points."""
        points, radii = np.stack([point for point, _ in balls]), unit * np.array([radius for _, radius in balls])
        middle = points.mean(axis=0)
        if outward is None or outward @ -_unit(middle) > limit:
            discs = np.column_stack([camera.project(points), radii * camera.focal_px / -points[:, 2]])
            indices = tuple(INDEX[name] for name in shows)
            parts.append(Part(discs, colour, float(np.linalg.norm(middle)) - nearer, indices, flat))

    for side, sign in (("left", 1), ("right", -1)):
        shoulder, elbow, wrist, hip, knee, ankle, eye, ear = (
            at[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "eye", "ear")
        )
        heel = ankle - camera.axes @ [0, 0.05, 0.03]
        add(look.shoes, (heel, 0.045), (heel + camera.axes @ [0.02 * sign, -0.01, 0.2], 0.035), shows=[f"{side}_ankle"])
        add(look.legs, (knee, 0.062), (ankle, 0.042), shows=[f"{side}_knee", f"{side}_ankle"])
        add(look.trousers, (hip, 0.088), (knee, 0.066), shows=[f"{side}_hip", f"{side}_knee"])
        add(look.sleeves, (shoulder, 0.056), (elbow, 0.046), shows=[f"{side}_shoulder", f"{side}_elbow"], nearer=0.03)
        add(look.skin, (elbow, 0.043), (wrist, 0.032), shows=[f"{side}_elbow", f"{side}_wrist"], nearer=0.03)
        along = _unit(wrist - elbow)
        band, hand = [(wrist + offset * along, 0.038) for offset in (-0.02, 0.015)], wrist + 0.1 * along
        add(look.skin * 0.95, (wrist, 0.034), (hand, 0.036), shows=[f"{side}_wrist"], nearer=0.03)
        add(look.wristbands, *band, shows=[f"{side}_wrist"], nearer=0.06)
        add(look.skin * 0.9, (ear, 0.024), shows=[f"{side}_ear"], outward=sign * left_ear, unit=head)
        outward = _unit(eye - skull)
        add(np.full(3, 240.0), (eye, 0.019), outward=outward, limit=0.1, unit=head, flat=True, nearer=0.03)
        add(np.full(3, 25.0), (eye, 0.011), shows=[f"{side}_eye"], outward=outward, unit=head, flat=True, nearer=0.04)
    add(look.trousers, (at["left_hip"], 0.1), (at["right_hip"], 0.1), (hips + 0.1 * spine, 0.11), shows=trunk)
    waist, breast = hips + 0.25 * spine, hips + 0.75 * spine
    balls = [(waist + 0.07 * sign * left_hip + 0.02 * belly, 0.1) for sign in (1, -1)]
    balls += [(breast + 0.09 * sign * left + 0.03 * chest, 0.1) for sign in (1, -1)]
    add(look.shirt, *balls, (at["left_shoulder"], 0.06), (at["right_shoulder"], 0.06), shows=trunk)
    front = [(hips + 0.9 * spine + 0.07 * width * chest, 0.013), (hips + 0.2 * spine + 0.12 * width * belly, 0.013)]
    add(look.buttons, *front, outward=chest, limit=0.1, flat=True)
    add(look.skin * 0.85, (shoulders, 0.05), (ears - 0.05 * crown, 0.048), nearer=-0.02)
    add(look.hair, (skull, 0.105), (skull - 0.02 * face, 0.105), unit=head)
    forward, up, aside = head * face, head * crown, head * left_ear
    add(look.skin, (skull + 0.028 * forward - 0.015 * up, 0.09), (skull + 0.035 * forward - 0.05 * up, 0.07), unit=head)
    tip = at["nose"] - 0.012 * forward
    nose = [(tip, 0.017), (tip + 0.04 * up - 0.02 * forward, 0.01)]
    add(look.skin * 0.8, *nose, shows=["nose"], outward=face, unit=head, nearer=0.02)
    mouth = [(skull + 0.095 * forward - 0.065 * up + 0.022 * sign * aside, 0.007) for sign in (1, -1)]
    add(np.array([150.0, 60, 60]), *mouth, outward=face, limit=0.1, unit=head, flat=True, nearer=0.02)
    return sorted(parts, key=lambda part: -part.distance_m)


def seen(parts: list[Part], pixels: np.ndarray) -> np.ndarray:
    """(K,) bool: whether the nearest part at each joint's pixel is one that shows this joint."""
    nearest_first = [(part.outline(), part.joints) for part in reversed(parts)]

    def shown(point: tuple[float, float]) -> tuple[int, ...]:
        return next(
            (joints for corners, joints in nearest_first if cv2.pointPolygonTest(corners, point, False) >= 0), ()
        )

    points = (pixels * 2**SUBPIXEL_BITS).tolist()
    return np.array([joint in shown((x, y)) for joint, (x, y) in enumerate(points)])


def paint(background: np.ndarray, parts: list[Part], light: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) uint8 RGB of the parts before a background. light: (2,) direction it comes from, in pixels."""
    image = background.copy()
    for part in parts:
        for brightness, share, shift in FLAT if part.flat else SHADES:
            corners = part.outline(share, shift * light)
            cv2.fillConvexPoly(image, corners, (part.colour * brightness).tolist(), cv2.LINE_AA, SUBPIXEL_BITS)
    return image


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
