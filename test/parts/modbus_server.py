# Units on a Modbus RTU line, as pymodbus speaks: python3 modbus_server.py PORT WRITES
#   1  a meter: every type, and coils and discrete inputs; addresses beyond answer with exception 2
#   2  a pump: holding registers and coils that can be written
#   3  a unit that says "busy" (exception 6) to every third request
# Each write that is carried out is a line in the file WRITES.
import asyncio
import sys

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.server import StartAsyncSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

PORT, WRITES = sys.argv[1:]
asked = {'count': 0}


async def note(function, _start, address, _count, _registers, values):
    if values:
        with open(WRITES, 'a', encoding='utf-8') as file:
            file.write(f'{function} {address} {",".join(str(int(value)) for value in values)}\n')


async def busy(_function, _start, _address, _count, _registers, _values):
    asked['count'] += 1
    return ExcCodes.DEVICE_BUSY if asked['count'] % 3 == 0 else None


def block(address, values, datatype, count=1):
    return SimData(address, values=values, datatype=datatype, count=count)


BITS = [block(0, [False] * 16, DataType.BITS)]
REGISTERS = [block(0, 0, DataType.REGISTERS)]
METER = SimDevice(1, simdata=(
    [block(0, [True, False, True, True] + [False] * 12, DataType.BITS)],
    [block(0, [False, True] + [False] * 14, DataType.BITS)],
    [block(0, 'ACME 3000', DataType.STRING), block(20, -123, DataType.INT16)],
    [
        block(0, 230.1, DataType.FLOAT32),
        block(2, -123456, DataType.INT32),
        block(4, 4711, DataType.UINT16),
        block(5, 9007199254740993, DataType.INT64),
        block(9, 21.5, DataType.FLOAT64),
        block(13, 4000000000, DataType.UINT32),
    ],
))
PUMP = SimDevice(2, simdata=(BITS, BITS, [block(0, 0, DataType.REGISTERS, 20)], REGISTERS), action=note)
BUSY = SimDevice(3, simdata=(BITS, BITS, [block(0, 7, DataType.REGISTERS)], REGISTERS), action=busy)


async def main():
    print('ready', flush=True)
    await StartAsyncSerialServer([METER, PUMP, BUSY], framer=FramerType.RTU, port=PORT, baudrate=115200)


asyncio.run(main())
