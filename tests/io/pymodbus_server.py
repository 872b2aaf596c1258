#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A Modbus server that is not ours, holding one value of every data type in every order.

    pymodbus_server.py tcp           serves on a free loopback port
    pymodbus_server.py rtu PORT      serves unit 1 on a serial port at 19200 8N1

Prints one line when it serves: "ready PORT". Ends with status 77 when pymodbus (or what it needs for serial ports) is not
installed. Written for pymodbus 3.0 (Debian 12) to 3.8 (Debian 13). The layout is known to pymodbus_test.c as well.
"""
import asyncio
import logging
import socket
import struct
import sys

try:
    from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
    from pymodbus.server import StartAsyncSerialServer, StartAsyncTcpServer
except ImportError as error:
    print("missing:", error, flush=True)
    sys.exit(77)

FIRST, STRIDE = 100, 4  # value t in order o stands at FIRST + (t * 4 + o) * STRIDE
VALUES = [  # most significant byte first
    struct.pack(">H", 54321),
    struct.pack(">h", -12345),
    struct.pack(">I", 3000000000),
    struct.pack(">i", -2000000000),
    struct.pack(">Q", 0xFEDCBA9876543210),
    struct.pack(">q", -81985529216486895),
    struct.pack(">f", 1234.5),
    struct.pack(">d", -0.1),
    b"Yanhuo-7",
    bytes.fromhex("12345678"),  # BCD
]


def ordered(raw, order):
    """The registers of a value: order 0 ABCD, 1 CDAB, 2 BADC, 3 DCBA."""
    pairs = [raw[i : i + 2] for i in range(0, len(raw), 2)]
    if order in (1, 3):
        pairs.reverse()
    if order in (2, 3):
        pairs = [pair[::-1] for pair in pairs]
    return [pair[0] << 8 | pair[1] for pair in pairs]


def context():
    holding = [0] * 400
    for index, raw in enumerate(VALUES):
        for order in range(4):
            at = FIRST + (index * 4 + order) * STRIDE
            registers = ordered(raw, order)
            holding[at : at + len(registers)] = registers
    holding[50] = 0b1011010000000101  # bits 10..13 are 13
    holding[60] = -123 & 0xFFFF  # tenths
    holding[61] = 0x7FFF  # an error value
    inputs = [0] * 400
    inputs[30] = 777
    coils = [False] * 100
    coils[10] = True
    discretes = [False] * 100
    discretes[20] = True

    def block(values):
        return ModbusSequentialDataBlock(1, values)  # a block counts from 1, a PDU from 0

    slave = ModbusSlaveContext(di=block(discretes), co=block(coils), hr=block(holding), ir=block(inputs))
    return ModbusServerContext(slaves={1: slave}, single=False)


def rtu_framer():
    import serial  # noqa: F401

    try:
        from pymodbus.framer import FramerType

        return FramerType.RTU
    except ImportError:
        import serial_asyncio  # noqa: F401
        from pymodbus.transaction import ModbusRtuFramer

        return ModbusRtuFramer


async def serve_tcp():
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = asyncio.ensure_future(StartAsyncTcpServer(context=context(), address=("127.0.0.1", port)))
        while not server.done():
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            print("ready", port, flush=True)
            await server
        if server.exception() and not isinstance(server.exception(), OSError):
            raise server.exception()  # an OSError means that the port was taken meanwhile: another one


async def serve_rtu(path):
    try:
        framer = rtu_framer()
    except ImportError as error:
        print("missing:", error, flush=True)
        sys.exit(77)
    print("ready", path, flush=True)
    await StartAsyncSerialServer(context=context(), framer=framer, port=path, baudrate=19200, bytesize=8, parity="N", stopbits=1)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # it reports each exception it was asked for
    if sys.argv[1:] == ["tcp"]:
        asyncio.run(serve_tcp())
    elif len(sys.argv) == 3 and sys.argv[1] == "rtu":
        asyncio.run(serve_rtu(sys.argv[2]))
    else:
        sys.exit(__doc__)
