"""Boards by name: the memory that a network in int8 has on each.

A quarter of either memory is left to the program, the runtime and the stack. Kilobytes are of 1024 bytes.
"""

import difflib
from dataclasses import dataclass

from nas.refusal import Refusal

SHARE = 0.75  # of a memory, for the network


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board with a microcontroller."""

    name: str
    """Its name."""
    core: str
    """What computes on it."""
    clock_mhz: int
    """Megahertz of that."""
    sram_bytes: int
    """Its memory, as far as one buffer can lie in it."""
    flash_bytes: int
    """Its memory that stays, on the chip or beside it."""
    source: str
    """The maker's page that says so."""

    @property
    def for_values(self) -> int:
        """The bytes of values that a network may hold at once."""
        return int(self.sram_bytes * SHARE)

    @property
    def for_weights(self) -> int:
        """The bytes that a network may store."""
        return int(self.flash_bytes * SHARE)


def _board(name: str, core: str, clock_mhz: int, sram_kb: int, flash_kb: int, source: str) -> Board:
    return Board(
        name=name,
        core=core,
        clock_mhz=clock_mhz,
        sram_bytes=1024 * sram_kb,
        flash_bytes=1024 * flash_kb,
        source=f"https://{source}",
    )


ARDUINO = "docs.arduino.cc/hardware"
ESPRESSIF = "docs.espressif.com/projects/esp-dev-kits/en/latest"
PICO = "www.raspberrypi.com/documentation/microcontrollers/pico-series.html"
ST = "www.st.com/en/evaluation-tools"
BOARDS = (
    _board("arduino-nano-33-ble-sense", "Cortex-M4F", 64, 256, 1024, f"{ARDUINO}/nano-33-ble-sense/"),
    _board("arduino-portenta-h7", "Cortex-M7", 480, 512, 2048, f"{ARDUINO}/portenta-h7/"),  # of 1 MB, in banks
    # Of 520 kB 320 are for data, and half of these are in one piece.
    _board("esp32", "Xtensa LX6, two", 240, 160, 4096, f"{ESPRESSIF}/esp32/esp32-devkitc/"),
    _board("esp32-s3", "Xtensa LX7, two", 240, 416, 8192, f"{ESPRESSIF}/esp32s3/esp32-s3-devkitc-1/"),  # of 512 kB
    _board("nucleo-h743zi", "Cortex-M7", 480, 512, 2048, f"{ST}/nucleo-h743zi.html"),  # of 1 MB, in banks
    _board("nucleo-l4r5zi", "Cortex-M4F", 120, 640, 2048, f"{ST}/nucleo-l4r5zi.html"),
    _board("raspberry-pi-pico", "Cortex-M0+, two", 133, 264, 2048, PICO),
    _board("raspberry-pi-pico-2", "Cortex-M33, two", 150, 520, 4096, PICO),
    _board("sipeed-maix-bit", "Kendryte K210, RV64GC, two", 400, 6144, 16384, "wiki.sipeed.com/hardware/en/maix/"),
    _board("sony-spresense", "Cortex-M4F, six", 156, 1536, 8192, "developer.sony.com/spresense/specifications"),
    _board("sparkfun-edge", "Cortex-M4F", 48, 384, 1024, "www.sparkfun.com/products/15170"),
    _board("stm32f412-discovery", "Cortex-M4F", 100, 256, 1024, f"{ST}/32f412gdiscovery.html"),
    _board("stm32f746-discovery", "Cortex-M7", 216, 320, 1024, f"{ST}/32f746gdiscovery.html"),
    _board("teensy-4.1", "Cortex-M7", 600, 512, 7936, "www.pjrc.com/store/teensy41.html"),  # of 1 MB, in two
)
_NAMED = {board.name: board for board in BOARDS}


def named(name: str) -> Board:
    """The board of that name. Raises Refusal for one that is not here, which says what is near."""
    if name in _NAMED:
        return _NAMED[name]
    near = difflib.get_close_matches(name.lower(), _NAMED, n=3, cutoff=0.5)
    near += [known for known in _NAMED if name.lower() in known and known not in near]
    there_are = " or ".join(near) if near else ", ".join(_NAMED)
    raise Refusal(f"board {name!r} is not known: {'is it' if near else 'there are'} {there_are}", field="board")
