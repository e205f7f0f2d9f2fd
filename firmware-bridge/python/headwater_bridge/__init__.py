"""The headwater bridge protocol in Python: a device for laptops and MicroPython, by ../SPEC.md alone."""

from .codec import Frame, Sections, decode_section, encode
from .device import Device, Uptime
