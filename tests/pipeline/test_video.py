"""Videos written here, every frame with its number painted on it, come back whole, in order and on time, or not at all."""

import csv
import logging
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import InputError
from pipeline.video import batches, frames, probe, resample, write_video

WIDTH, HEIGHT, BITS = 64, 48, 6
QUIET_X265 = {"x265-params": "log-level=none:pools=1"}


def painted(number, width=WIDTH, height=HEIGHT):
    """The number in binary: a column of white or black per bit below a grey bar, so that top, left and right differ."""
    image = np.zeros((height, width, 3), np.uint8)
    for bit, columns in enumerate(np.array_split(np.arange(width), BITS)):
        image[:, columns] = 230 * (number >> bit & 1) + 10
    image[: height // 4] = 128
    return image


def number_on(image):
    """The number painted, and that the image is upright."""
    height = len(image)
    assert abs(int(image[: height // 8].mean()) - 128) < 12
    middle = image[height * 5 // 8, :, 1]
    return sum(int(columns.mean() > 128) << bit for bit, columns in enumerate(np.array_split(middle, BITS)))


def numbers(path, indices=None):
    return [number_on(image) for image in frames(path, indices)]


def write(
    path, codec="libx264", times=range(30), unit=Fraction(1, 25), container=None, muxer=None, edit=None, **options
):
    """A video of painted frames, shown at times * unit; edit(number, packet) changes packets, or drops one by False."""
    with av.open(str(path), "w", format=muxer, options=container or {}) as file:
        stream = file.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = unit
        stream.codec_context.thread_count = 1
        packets = []
        for number, pts in enumerate(times):
            frame = av.VideoFrame.from_ndarray(painted(number % 2**BITS))
            frame.pts, frame.time_base = pts, unit
            packets += stream.encode(frame)
        for number, packet in enumerate(packets + stream.encode(None)):
            if edit is None or edit(number, packet) is not False:
                file.mux(packet)
    return path


def patched(path, change):
    """The same file with its bytes changed by change(bytearray)."""
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)
    return path


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])
    return path


def refused(path, *words, read=True, fps=None):
    """Neither probe nor frames accepts it, and the one line says why and where."""
    for call in [lambda: probe(path, fps)] + [lambda: list(frames(path))] * read:
        with pytest.raises(InputError) as error:
            call()
        message = str(error.value)
        assert message.startswith("Expected ") and "\n" not in message and message.endswith(".")
        assert all(word in message for word in (*words, path.name)), message


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {}),
        ("a.mov", "libx264", {"bf": "3"}),
        ("a.mkv", "libx264", {}),
        ("a.avi", "libx264", {}),
        ("a.mp4", "libx265", QUIET_X265),
        ("a.avi", "mpeg4", {"bf": "2"}),
        ("a.m4v", "mpeg4", {"bf": "2"}),
        ("a.avi", "mjpeg", {}),
        ("a.webm", "libvpx", {"deadline": "realtime"}),
        ("a.webm", "libvpx-vp9", {"deadline": "realtime", "lag-in-frames": "16", "auto-alt-ref": "1"}),
        ("a.mkv", "ffv1", {}),
    ],
)
def test_every_frame_of_every_codec_and_container(tmp_path, name, codec, options):
    path = write(tmp_path / name, codec, **options)
    info = probe(path)
    assert (info.width, info.height, info.num_frames, info.variable_rate) == (WIDTH, HEIGHT, 30, False)
    assert info.fps == pytest.approx(25, rel=1e-3)
    np.testing.assert_allclose(info.times, np.arange(30) / 25, atol=1e-3)
    assert numbers(path) == list(range(30))
    assert numbers(path, np.array([3, 3, 4, 17, 29, 29])) == [3, 3, 4, 17, 29, 29]


def test_fragmented_mp4_and_one_frame(tmp_path):
    path = write(tmp_path / "a.mp4", container={"movflags": "frag_keyframe+empty_moov"}, g="7")
    assert probe(path).num_frames == 30 and numbers(path) == list(range(30))
    for name in ("one.mp4", "one.mkv"):
        path = write(tmp_path / name, times=[0])
        info = probe(path)
        assert info.times.tolist() == [0] and info.fps == 25 and not info.variable_rate
        assert numbers(path) == [0] and resample(info.times, 60).tolist() == [0]


@pytest.mark.parametrize("fps", [23.976, 24000 / 1001, 12.5, 25, 59.94, 240])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_odd_rates_are_constant_rates(tmp_path, fps, name):
    path = write(tmp_path / name, unit=1 / Fraction(fps).limit_denominator(1001), times=range(40))
    info = probe(path)
    assert info.fps == pytest.approx(fps, rel=1e-2 if name == "a.mkv" and fps > 100 else 1e-3)
    assert not info.variable_rate
    assert resample(info.times, fps).tolist() == list(range(40))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_variable_rate_keeps_the_time_of_each_frame(tmp_path, name):
    times = np.cumsum([0, 40, 20, 20, 200, 40, 40, 33, 34])
    info = probe(write(tmp_path / name, times=times.tolist(), unit=Fraction(1, 1000)))
    assert info.variable_rate and info.fps == pytest.approx(8 / times[-1] * 1000)
    np.testing.assert_allclose(info.times, times / 1000, atol=1e-6)


def test_one_dropped_frame_is_a_variable_rate_wherever_it_is(tmp_path):
    for dropped in (1, 15, 28):
        path = write(tmp_path / "a.avi", "mjpeg", times=[number for number in range(30) if number != dropped])
        info = probe(path)
        assert info.variable_rate and info.num_frames == 29 and numbers(path) == list(range(29))


def test_what_an_edit_list_cuts_away_is_not_shown(tmp_path):
    def earlier(number, packet):
        packet.pts, packet.dts = packet.pts - 5, packet.dts - 5

    path = write(tmp_path / "a.mp4", container={"avoid_negative_ts": "disabled"}, edit=earlier, g="10", bf="0")
    info = probe(path)
    assert info.num_frames == 25 and info.times[0] == 0
    assert numbers(path) == list(range(5, 30))


def matrix(a, b, c, d):
    """Make every track of an MP4 shown by (x, y) -> (a x + c y, b x + d y)."""

    def change(data):
        at = data.index(b"tkhd") + 44
        assert data[at - 40] == 0, "written as version 0"
        values = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
        data[at : at + 36] = np.array(values, ">i4").tobytes()

    return change


@pytest.mark.parametrize(
    ("display", "shown"),
    [
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),  # a phone held upright: a quarter turn clockwise
        ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
        ((0, -1, 1, 0), np.rot90),
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    ],
)
def test_rotation_and_mirroring_by_metadata(tmp_path, display, shown):
    path = write(tmp_path / "a.mp4", times=range(6))
    plain = list(frames(path))
    patched(path, matrix(*display))
    turned = list(frames(path))
    info = probe(path)
    assert (info.height, info.width) == turned[0].shape[:2] == shown(plain[0]).shape[:2]
    for image, before in zip(turned, plain, strict=True):
        assert image.flags.c_contiguous
        np.testing.assert_array_equal(image, shown(before))


@pytest.mark.parametrize(("colour_range", "pixels"), [(1, "yuv420p"), (2, "yuv420p"), (2, "yuv420p10le")])
@pytest.mark.parametrize("space", [1, 5])
def test_colours_come_back_from_either_range_and_matrix(tmp_path, colour_range, pixels, space):
    colours = [(255, 255, 255), (0, 0, 0), (200, 40, 40), (40, 200, 40), (40, 40, 200), (128, 128, 128)]
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        stream.codec_context.color_range, stream.codec_context.colorspace = colour_range, space
        for number, colour in enumerate(colours):
            image = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH, 3), colour, np.uint8))
            frame = image.reformat(format=pixels, dst_colorspace=space, dst_color_range=colour_range)
            frame.pts = number
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    for image, colour in zip(frames(path), colours, strict=True):
        np.testing.assert_allclose(image[HEIGHT // 2, WIDTH // 2].astype(int), colour, atol=6)


def repeat_times(number, packet):
    packet.pts = packet.dts = number // 2


def shuffle_mkv(data):
    """Exchange the timestamps of frames 3 and 4 of a file of one cluster."""
    blocks = [
        at for at in range(len(data) - 8) if data[at] == 0xA3 and data[at + 1] & 0xC0 and block_track(data, at) == 1
    ]
    first, second = (block_time(data, at) for at in blocks[3:5])
    data[first : first + 2], data[second : second + 2] = data[second : second + 2], data[first : first + 2]


def block_time(data, at):
    return at + 1 + (9 - data[at + 1].bit_length()) + 1


def block_track(data, at):
    return data[block_time(data, at) - 1] & 0x7F


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.mkv", {"edit": repeat_times}), ("a.mkv", {"change": shuffle_mkv}), ("a.mp4", {"muxer": "h264"})],
    ids=["repeated", "out of order", "missing"],
)
def test_broken_timestamps_become_a_constant_rate_and_a_warning(tmp_path, caplog, name, kind):
    change = kind.pop("change", lambda data: None)
    path = patched(write(tmp_path / name, bf="0", **kind), change)
    with caplog.at_level(logging.WARNING):
        info = probe(path)
    assert "constant 25 fps" in caplog.text and path.name in caplog.text
    np.testing.assert_allclose(info.times, np.arange(30) / 25)
    assert info.fps == 25 and not info.variable_rate
    assert numbers(path) == list(range(30))
    assert probe(path, fps=50).fps == 50


def test_a_hidden_frame_of_vp8_is_not_counted(tmp_path):
    def hide(number, packet):
        if number == 5:
            data = bytearray(bytes(packet))
            data[0] &= ~0x10  # the bit that says: show this frame
            packet.update(data)

    path = write(tmp_path / "a.webm", "libvpx", deadline="realtime", **{"error-resilient": "default"}, edit=hide)
    info = probe(path)
    assert info.num_frames == 29 and info.variable_rate
    assert numbers(path) == [number for number in range(30) if number != 5]


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [
        ("a.mp4", "libx264", {}),
        ("a.mp4", "libx264", {"movflags": "faststart"}),
        ("a.mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
        ("a.mov", "libx264", {}),
        ("a.mkv", "libx264", {}),
        ("a.webm", "libvpx-vp9", {}),
        ("a.avi", "mpeg4", {}),
        ("a.avi", "mjpeg", {}),
    ],
)
def test_a_truncated_file_is_refused(tmp_path, name, codec, container, share):
    path = write(tmp_path / name, codec, container=container, g="5")
    refused(cut(path, int(path.stat().st_size * share)))


def test_a_frame_that_cannot_be_decoded_is_named_and_never_skipped(tmp_path):
    path = write(tmp_path / "a.avi", "mjpeg")
    with av.open(str(path)) as file:
        positions = [packet.pos for packet in file.demux(video=0) if packet.size]
    good = numbers(path)

    def damage(data):
        data[positions[12] + 8 : positions[13] - 8] = bytes(positions[13] - positions[12] - 16)

    patched(path, damage)
    seen = []
    with pytest.raises(InputError, match=r"a\.avi, frame 12\. "):
        for image in frames(path):
            seen.append(number_on(image))
    assert seen == good[:12]
    with pytest.raises(InputError, match="frame 12"):
        list(frames(path, np.array([20])))


def test_frames_that_the_decoder_leaves_out_are_missed(tmp_path):
    path = write(tmp_path / "a.mkv", edit=lambda number, _: number >= 3, g="10", bf="0")  # begins without a key frame
    refused(path, "timestamp", "frame 0", "Re-encode")


def test_what_is_no_video_is_refused(tmp_path):
    refused(tmp_path / "none.mp4", "there is none")
    (tmp_path / "zero.mp4").touch()
    refused(tmp_path / "zero.mp4", "empty file")
    (tmp_path / "text.mp4").write_text("not a video at all\n" * 100)
    refused(tmp_path / "text.mp4", "Expected a video")
    with av.open(str(tmp_path / "sound.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 8000
        file.mux(stream.encode(sound))
        file.mux(stream.encode(None))
    refused(tmp_path / "sound.mp4", "only audio")
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "11" * 16, "encryption_kid": "22" * 16}
    refused(write(tmp_path / "secret.mp4", container=key), "encrypted")

    def rename_codec(data):
        at = data.rindex(b"avc1")  # the sample entry, after the brand in the head of the file
        data[at : at + 4] = b"zzzz"

    unknown = patched(write(tmp_path / "unknown.mp4"), rename_codec)
    refused(unknown, "codec")
    with pytest.raises(InputError, match="Expected frame 30, but got 30 frames"):
        list(frames(write(tmp_path / "a.mp4"), np.array([0, 30])))


def test_a_folder_of_images_in_natural_order(tmp_path):
    folder = tmp_path / "video"
    folder.mkdir()
    for number in range(12):
        suffix = (".png", ".bmp", ".jpg", ".webp", ".PNG")[number % 5]
        cv2.imwrite(str(folder / f"frame{number + 1}{suffix}"), painted(number)[..., ::-1])
    (folder / "notes.txt").write_text("no frame")
    (folder / "._frame1.png").write_bytes(b"what a file system leaves behind")
    info = probe(folder, fps=12.5)
    assert (info.width, info.height, info.fps, info.num_frames) == (WIDTH, HEIGHT, 12.5, 12)
    np.testing.assert_allclose(info.times, np.arange(12) * 0.08)
    assert numbers(folder) == list(range(12)) and numbers(folder, np.array([2, 2, 9])) == [2, 2, 9]
    red = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    red[..., 0] = 255
    cv2.imwrite(str(folder / "frame1.png"), red[..., ::-1])
    np.testing.assert_array_equal(next(frames(folder)), red)


def test_a_folder_that_is_no_video_is_refused(tmp_path):
    folder = tmp_path / "video"
    folder.mkdir()
    refused(folder, "got none", fps=25)
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), painted(number))
    with pytest.raises(InputError, match="frame rate"):
        probe(folder)
    for damaged in (b"", (folder / "2.png").read_bytes()[:60]):
        (folder / "0.png").write_bytes(damaged)
        refused(folder, "0.png", fps=25)
    for fps in (0, -1, float("nan")):
        refused(folder, "frame rate", read=False, fps=fps)


def test_an_image_that_does_not_fit_a_folder_is_refused_when_its_turn_comes(tmp_path):
    folder = tmp_path / "video"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), painted(number))
    cv2.imwrite(str(folder / "3.png"), painted(3, width=WIDTH + 2))

    def last(*words):
        assert probe(folder, 25).num_frames == 4  # a long folder is not decoded twice
        running = frames(folder)
        assert len([next(running) for _ in range(3)]) == 3
        with pytest.raises(InputError) as error:
            next(running)
        assert all(word in str(error.value) for word in words), str(error.value)

    last("64x48", "66x48", "video, frame 3")
    for damaged in (b"", (folder / "2.png").read_bytes()[:60]):
        (folder / "3.png").write_bytes(damaged)
        last("3.png")


@given(
    gaps=st.lists(st.integers(1, 200), max_size=40),
    fps=st.sampled_from([1, 7, 12.5, 23.976, 25, 50, 60, 120]),
)
def test_resample_shows_the_nearest_frame(gaps, fps):
    times = np.cumsum([0, *gaps]) / 1000
    found = resample(times, fps)
    for number, index in enumerate(found):
        distances = [round(abs(time - number / fps), 9) for time in times]
        assert distances[index] <= min(distances) + 1e-8
        assert all(distance > distances[index] - 1e-8 for distance in distances[:index])
    assert (len(found) - 1) / fps <= times[-1] + 1.1e-3 and len(found) / fps > times[-1]
    assert (np.diff(found) >= 0).all()


def test_resample_by_hand():
    times = np.arange(9) / 25
    assert resample(times, 25).tolist() == list(range(9))
    assert resample(times, 12.5).tolist() == [0, 2, 4, 6, 8]
    assert resample(times, 10).tolist() == [
        0,
        2,
        5,
        7,
    ]  # 0.1 s is halfway between frames 2 and 3, 0.3 s between 7 and 8
    assert resample(times[:3], 50).tolist() == [0, 0, 1, 1, 2]
    assert resample(np.array([0, 0.04, 0.3]), 25).tolist() == [0, 1, 1, 1, 1, 2, 2, 2]
    with pytest.raises(InputError, match="frame rate"):
        resample(times, 0)


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("video")]


def test_batches_hold_the_frames_asked_for(tmp_path):
    path = write(tmp_path / "a.mp4")
    indices = np.array([0, 1, 1, 5, 9, 12, 29])
    found = list(batches(path, indices, batch_size=3, ahead=1))
    assert [batch.shape for batch in found] == [(3, HEIGHT, WIDTH, 3)] * 2 + [(1, HEIGHT, WIDTH, 3)]
    np.testing.assert_array_equal(np.concatenate(found), np.stack(list(frames(path, indices))))
    assert not threads()


def test_batches_are_decoded_while_the_caller_computes(tmp_path, monkeypatch):
    from pipeline import video

    path, decoded = write(tmp_path / "a.mp4"), []
    plain = video._upright
    monkeypatch.setattr(video, "_upright", lambda *args: (decoded.append(threading.current_thread()), plain(*args))[1])
    running = batches(path, np.arange(30), batch_size=5, ahead=2)
    next(running)
    deadline = time.monotonic() + 5
    while len(decoded) < 15 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(decoded) == 15, "the batch in hand and two ahead, no more"
    assert threading.current_thread() not in decoded
    running.close()
    assert not threads()


def test_closing_batches_early_closes_the_file(tmp_path):
    path = write(tmp_path / "a.mp4")
    running = batches(path, np.arange(30), batch_size=4)
    next(running)
    assert threads()
    running.close()
    assert not threads()
    open_files = [link.resolve() for link in Path("/proc/self/fd").iterdir() if link.exists()]
    assert path.resolve() not in open_files


def test_errors_of_the_thread_reach_the_caller(tmp_path):
    running = batches(write(tmp_path / "a.mp4"), np.array([0, 1, 2, 40]), batch_size=2)
    next(running)
    with pytest.raises(InputError, match="frame 40"):
        next(running)
    assert not threads()


def coloured(number):
    return painted(number, 65, 49) // np.array([1, 2, 4], np.uint8)


def test_written_video_reads_back_and_is_the_same_each_time(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / "new" / name, (coloured(number) for number in range(40)), fps=23.976)
    assert (tmp_path / "new/a.mp4").read_bytes() == (tmp_path / "new/b.mp4").read_bytes()
    info = probe(tmp_path / "new/a.mp4")
    assert (info.width, info.height, info.num_frames, info.variable_rate) == (66, 50, 40, False)
    assert info.fps == pytest.approx(23.976)
    for number, image in enumerate(frames(tmp_path / "new/a.mp4")):
        assert np.abs(image[:49, :65].astype(int) - coloured(number)).mean() < 6


def test_a_video_half_written_leaves_nothing(tmp_path):
    path = tmp_path / "a.mp4"
    write_video(path, [painted(1)] * 3, fps=25)
    before = path.read_bytes()

    def breaks():
        yield painted(0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(path, breaks(), fps=25)
    with pytest.raises(InputError, match="got none"):
        write_video(path, [], fps=25)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_ffmpeg_is_quiet(tmp_path, capfd):
    path = write(tmp_path / "a.avi", "mjpeg")
    refused(cut(path, path.stat().st_size // 2))
    write_video(tmp_path / "b.mp4", [painted(0)], fps=25)
    assert capfd.readouterr() == ("", "")


@pytest.mark.shared
def test_real_clips_have_the_frames_they_are_said_to_have(shared):
    with (shared / "pushup_videos/derived_events.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        info = probe(shared / f"pushup_videos/videos/{row['clip']}.mp4")
        assert (info.width, info.height, info.num_frames) == tuple(
            int(row[key]) for key in ("width", "height", "n_frames")
        )
        assert info.fps == pytest.approx(float(row["fps"])) and not info.variable_rate
    shortest = min(rows, key=lambda row: int(row["n_frames"]))
    path = shared / f"pushup_videos/videos/{shortest['clip']}.mp4"
    capture = cv2.VideoCapture(str(path))
    for image in frames(path):  # not equal: OpenCV scales up the colours in another way
        assert np.abs(image.astype(int) - capture.read()[1][..., ::-1]).mean() < 4
    assert not capture.read()[0]
