"""A video file's container: whether the file is whole, the frames that it promises, and exactly these, decoded.

PyAV reads it, since OpenCV's VideoCapture ends a damaged file early without an error (3 frames, and says 60), and cannot
give the timestamps, which tell a variable rate or a broken clock, without decoding. What cannot be read is an InputError.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
from av.stream import Disposition

from pipeline.config import InputError

BOXES = set(b"ftyp styp moov moof mdat free skip wide uuid sidx mfra meta udta".split())  # at the top level of MP4, MOV
HIDES_FRAMES = {"vp8"}  # codecs with packets that are never shown: only decoding tells the number of frames
RE_ENCODE = "Re-encode it (ffmpeg -i IN -c:v libx264 OUT.mp4)."
COPY_AGAIN = "Copy or download it again."


@dataclass(frozen=True)
class Timeline:
    """The frames that a container promises, and when they are shown.

    pts: of all frames in presentation order, in units of unit_s seconds, or None if they cannot be trusted. rate:
    frames/s as the container says, or None.
    """

    num_frames: int
    pts: list[int] | None
    unit_s: float
    rate: float | None


def read_timeline(path: Path) -> Timeline:
    """What the packets tell; frames are decoded only where these do not suffice. Raises InputError without frames."""
    with _open(path) as stream:
        pts = []
        for packet in stream.container.demux(stream):
            if packet.has_sidedata("encryption_info"):
                raise InputError(f"Expected a video that can be read, but {path} is encrypted. Decrypt it first.")
            if packet.size and not packet.is_discard:
                pts.append(packet.pts)
        reordered = stream.codec_context.has_b_frames
        made_up = stream.container.format.name == "avi"  # which has no time of presentation: ffmpeg guesses it
        hides_frames = stream.codec_context.name in HIDES_FRAMES
        unit_s, rate = float(stream.time_base), stream.average_rate or stream.guessed_rate
    broken = None in pts or len(set(pts)) < len(pts) or (made_up if reordered else pts != sorted(pts))
    if broken or hides_frames:
        with closing(_decoded(path)) as decoded:
            pts = [frame.pts for frame in decoded]
    if not pts:
        raise InputError(f"Expected at least one frame, but got none in {path}. {COPY_AGAIN}")
    return Timeline(len(pts), None if broken else sorted(pts), unit_s, float(rate) if rate else None)


def promised_frames(path: Path, timeline: Timeline) -> Iterator[av.VideoFrame]:
    """The decoded frames, each compared with its timestamp: a lost one must not shift those that follow.

    Raises InputError, with the frame's number, for one that is lost or cannot be decoded.
    """
    number = -1
    with closing(_decoded(path)) as decoded:
        for number, frame in enumerate(decoded):
            if timeline.pts is not None and frame.pts != timeline.pts[number]:
                raise InputError(
                    f"Expected a frame with timestamp {timeline.pts[number]}, but the decoder gave {frame.pts} in {path}, frame {number}. {RE_ENCODE}"
                )
            yield frame
    if number + 1 < timeline.num_frames:
        raise InputError(
            f"Expected {timeline.num_frames} frames, but none can be decoded from {path}, frame {number + 1} on. {RE_ENCODE}"
        )


def _decoded(path: Path) -> Iterator[av.VideoFrame]:
    num_frames = 0
    with _open(path) as stream:
        stream.thread_type = "AUTO"
        try:
            for packet in stream.container.demux(stream):
                if packet.size or packet.dts is None:  # an empty one with a time would flush the decoder
                    for frame in packet.decode():
                        yield frame
                        num_frames += 1
        except av.FFmpegError as error:
            raise InputError(
                f"Expected a video that can be decoded, but got {error.strerror!r} in {path}, frame {num_frames}. {RE_ENCODE}"
            ) from None


@contextmanager
def _open(path: Path) -> Iterator[av.VideoStream]:
    """The first video stream that is no cover picture; what ffmpeg raises while it is open becomes InputError."""
    if not path.is_file():
        raise InputError(f"Expected a video file or a folder of images, but there is none at {path}. Correct the path.")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"Expected a video, but got an empty file at {path}. {COPY_AGAIN}")
        if _cut_short(path):
            raise InputError(f"Expected a whole video, but got a truncated one at {path}. {COPY_AGAIN}")
        with av.open(str(path), metadata_errors="replace") as container:
            streams = container.streams
            videos = [stream for stream in streams.video if not stream.disposition & Disposition.attached_pic]
            if not videos:
                kinds = ", ".join(sorted({stream.type for stream in streams})) or "no stream"
                raise InputError(f"Expected a video, but got only {kinds} in {path}. Name another file.")
            if videos[0].codec_context is None:
                raise InputError(f"Expected a codec that ffmpeg can decode, but got another in {path}. Convert it.")
            yield videos[0]
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"Expected a video, but got {error.strerror!r} from ffmpeg for {path}. {COPY_AGAIN}") from None


def _cut_short(path: Path) -> bool:
    """Whether the container says that it is longer than its file, of which ffmpeg makes fewer frames without a word."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        head = file.read(4096) + bytes(16)
        if head.startswith(b"\x1aE\xdf\xa3"):  # Matroska and WebM: a header element, then the segment
            end_of_header = sum(_ebml_size(head, 4))
            if head[end_of_header : end_of_header + 4] != b"\x18S\x80g":
                return False
            start, length = _ebml_size(head, end_of_header + 4)
            return start + length > size
        while at <= size:
            file.seek(at)
            head = file.read(16)
            if head.startswith(b"RIFF"):  # AVI, of which some writers count these 8 bytes twice
                length, slack = 8 + int.from_bytes(head[4:8], "little"), 8
            elif head[4:8] in BOXES:  # MP4 and MOV; length 1: it follows in 64 bits; 0: to the end of the file
                length, slack = int.from_bytes(head[8:16] if head[:4] == b"\0\0\0\1" else head[:4], "big"), 0
            else:
                return False
            if length < 8:
                return False
            at += length
            if at > size + slack:
                return True
    return False


def _ebml_size(data: bytes, at: int) -> tuple[int, int]:
    """Where the element's content starts, and its length (0 if it is not known, as in a live recording)."""
    width = 9 - data[at].bit_length()
    largest = (1 << 7 * width) - 1
    length = int.from_bytes(data[at : at + width], "big") & largest
    return at + width, 0 if length == largest else length
