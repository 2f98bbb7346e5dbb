import cv2
import numpy as np
import pytest

from pipeline.config import InputError
from pipeline.crop import crop_box
from pipeline.frames import FramesConfig, cut, frame_boxes, video_pictures
from pipeline.sequence import Clip, from_clips
from pipeline.skeleton import skeleton_from_dict
from pipeline.video import write_video

SKELETON = skeleton_from_dict({"name": "pair", "joints": ["a", "b"], "limbs": [[0, 1]]}, "test")


def sequences(tmp_path, videos, **changes):
    """Sequences of six frames of 64 x 48 pixels; joints reach from (10, 5) to (40, 35)."""
    clips = []
    for n, video in enumerate(videos):
        joints = np.tile(np.array([[10.0, 5], [40, 35]]), (6, 1, 1))
        given = {"frame_size": (64, 48), "video": video} | changes
        clips.append(Clip(str(n), "wave", "val" if n else "train", joints, np.ones((6, 2)), fps=30.0, **given))
    return from_clips(clips, dataset="waves", skeleton=SKELETON, event_names={}, poses="estimated", labels="none")


def picture(number: int) -> np.ndarray:
    """(48, 64, 3): grey level that says the frame, brighter to the right."""
    image = np.full((48, 64, 3), 20 * number, np.uint8)
    image[:, 32:] += 60
    return image


@pytest.fixture
def videos(tmp_path):
    paths = [tmp_path / f"{n}.mp4" for n in range(3)]
    for path in paths:
        write_video(path, [picture(number) for number in range(8)], 30)
    return [str(path) for path in paths]


def test_the_box_is_the_heatmaps_grown_on_every_side(tmp_path, videos):
    found = sequences(tmp_path, videos)
    boxes = frame_boxes(found, 0.0, True, FramesConfig(padding=0.2))
    x0, y0, width, height = crop_box(found.joints[:6], found.confidence[:6], 0.0, True)
    np.testing.assert_allclose(boxes[0], [x0 - 0.2 * width, y0 - 0.2 * height, 1.4 * width, 1.4 * height], rtol=1e-6)


def test_a_cut_is_the_mean_of_what_a_pixel_covers_and_black_outside():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    small = cut(image, np.array([8.0, 4, 40, 20]), 20)
    blocks = image[4:24, 8:48].reshape(20, 1, 20, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(small, blocks, atol=1)
    np.testing.assert_array_equal(cut(image, np.array([8.0, 4, 20, 20]), 20), image[4:24, 8:28])
    stripes = np.tile(np.array([255, 0, 0, 0], np.uint8).repeat(3).reshape(4, 1, 3), (20, 10, 1))
    standing = cut(stripes, np.array([0.0, 0, 10, 80]), 20)  # which grows in width and shrinks in height
    np.testing.assert_allclose(standing, 255 / 4, atol=1)
    beyond = cut(image, np.array([-10.0, -5, 20, 20]), 20)
    assert (beyond[:5] == 0).all() and (beyond[:, :10] == 0).all()
    np.testing.assert_array_equal(beyond[5:, 10:], image[:15, :10])
    assert (cut(image, np.array([100.0, 100, 20, 20]), 20) == 0).all()
    assert (cut(image, np.array([-40.0, 0, 20, 20]), 20) == 0).all()


def test_crops_are_those_of_the_frames_that_the_poses_show(tmp_path, videos):
    shown = np.array([1, 1, 3, 4, 6, 7])
    pictures = video_pictures(sequences(tmp_path, videos, video_frames=shown))
    box = np.array([16.0, 8, 32, 32])
    crops = pictures.crops(1, slice(1, 5), box, 16)
    assert crops.shape == (4, 16, 16, 3)
    for crop, number in zip(crops, shown[1:5], strict=True):
        np.testing.assert_allclose(crop, cut(picture(number), box, 16), atol=6)  # H.264 is lossy


def test_a_folder_of_frames_is_a_video(tmp_path):
    """As Penn Action's `frames/0001/000001.jpg` lie."""
    folders = [tmp_path / "frames" / f"{n:04d}" for n in range(3)]
    for folder in folders:
        folder.mkdir(parents=True)
        for number in range(8):
            cv2.imwrite(str(folder / f"{number + 1:06d}.png"), picture(number))
    pictures = video_pictures(sequences(tmp_path, list(map(str, folders))))
    crops = pictures.crops(2, slice(2, 4), np.array([16.0, 8, 32, 32]), 32)
    np.testing.assert_array_equal(crops, np.stack([picture(n)[8:40, 16:48] for n in (2, 3)]))


def test_a_sequence_without_a_video_is_named(tmp_path, videos):
    with pytest.raises(InputError, match=r"got none for 1 of 3, e\.g\. '1', of data set 'waves'"):
        video_pictures(sequences(tmp_path, [videos[0], "", videos[2]]))
    with pytest.raises(InputError, match=r"the video of '2', but there is none at gone\.mp4"):
        video_pictures(sequences(tmp_path, [videos[0], videos[1], "gone.mp4"]))


def test_poses_that_are_not_in_the_videos_pixels_are_refused(tmp_path, videos):
    pictures = video_pictures(sequences(tmp_path, videos, frame_size=(256, 256)))
    with pytest.raises(InputError, match=r"pixels of their video, 64x48, but they are in 256x256"):
        pictures.crops(0, slice(0, 2), np.array([0.0, 0, 20, 20]), 16)
