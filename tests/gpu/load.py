"""Work for a GPU through the driver alone: `python load.py MIB BUSY_S REST_S`.

Takes MIB of its memory, writes over it again and again for BUSY_S seconds, and then only holds it
for REST_S. No CUDA toolkit, no PyTorch: `libcuda.so.1` comes with the driver.
"""

import ctypes
import sys
import time


def main(memory_mib: int, busy_s: float, rest_s: float) -> int:
    cuda = ctypes.CDLL("libcuda.so.1")

    def call(name: str, *arguments: object) -> None:
        code = getattr(cuda, name)(*arguments)
        if code:
            raise SystemExit(f"{name}: CUDA error {code}")

    device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
    size = ctypes.c_size_t(memory_mib << 20)
    call("cuInit", 0)
    call("cuDeviceGet", ctypes.byref(device), 0)
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    call("cuCtxSetCurrent", context)
    call("cuMemAlloc_v2", ctypes.byref(memory), size)
    end, rounds = time.monotonic() + busy_s, 0
    while time.monotonic() < end:
        call("cuMemsetD8_v2", memory, ctypes.c_ubyte(rounds % 256), size)
        call("cuCtxSynchronize")
        rounds += 1
    print(f"{rounds} rounds over {memory_mib} MiB", flush=True)
    time.sleep(rest_s)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])))
