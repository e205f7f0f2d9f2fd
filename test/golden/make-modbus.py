# Writes modbus.json: requests and answers of Modbus RTU as pymodbus encodes them. The first five are those that the
# Modbus Application Protocol (1.1b3, sections 6.1 to 6.12) prints as examples, with their sums.
#   pip install --target .parts/python/pymodbus pymodbus==3.16.1
#   PYTHONPATH=.parts/python/pymodbus python3 test/golden/make-modbus.py > test/golden/modbus.json
import json

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU, ExceptionResponse
from pymodbus.pdu import bit_message as bits
from pymodbus.pdu import register_message as registers

framer = FramerRTU(DecodePDU(False))


def frame(pdu):
    return framer.buildFrame(pdu).hex()


def read(name, make_request, make_answer, table, unit, address, count, answer):
    request = make_request(dev_id=unit, address=address, count=count)
    pdu = make_answer(dev_id=unit, **answer)
    return {
        'name': name,
        'request': {'kind': 'read', 'unit': unit, 'table': table, 'address': address, 'count': count},
        'requestHex': frame(request),
        'answer': answer,
        'answerHex': frame(pdu),
    }


def write(name, request, answer, said):
    return {'name': name, 'request': said, 'requestHex': frame(request), 'answer': {}, 'answerHex': frame(answer)}


def unpack(byte_values, count):
    return [bool(byte_values[at // 8] >> (at % 8) & 1) for at in range(count)]


cases = [
    read('coils 20-38', bits.ReadCoilsRequest, bits.ReadCoilsResponse, 'coil', 17, 19, 19,
         {'bits': unpack([0xCD, 0x6B, 0x05], 19)}),
    read('discrete inputs 197-218', bits.ReadDiscreteInputsRequest, bits.ReadDiscreteInputsResponse, 'discrete', 17, 196,
         22, {'bits': unpack([0xAC, 0xDB, 0x35], 22)}),
    read('holding registers 108-110', registers.ReadHoldingRegistersRequest, registers.ReadHoldingRegistersResponse,
         'holding', 17, 107, 3, {'registers': [555, 0, 100]}),
    read('input register 9', registers.ReadInputRegistersRequest, registers.ReadInputRegistersResponse, 'input', 17, 8, 1,
         {'registers': [10]}),
    write('coil 173 on', bits.WriteSingleCoilRequest(dev_id=17, address=172, bits=[True]),
          bits.WriteSingleCoilResponse(dev_id=17, address=172, bits=[True]),
          {'kind': 'write-bits', 'unit': 17, 'address': 172, 'bits': [True], 'isSingle': True}),
    write('coil 173 off', bits.WriteSingleCoilRequest(dev_id=17, address=172, bits=[False]),
          bits.WriteSingleCoilResponse(dev_id=17, address=172, bits=[False]),
          {'kind': 'write-bits', 'unit': 17, 'address': 172, 'bits': [False], 'isSingle': True}),
    write('register 2', registers.WriteSingleRegisterRequest(dev_id=17, address=1, registers=[3]),
          registers.WriteSingleRegisterResponse(dev_id=17, address=1, registers=[3]),
          {'kind': 'write-registers', 'unit': 17, 'address': 1, 'hex': '0003', 'isSingle': True}),
    write('ten coils from 20', bits.WriteMultipleCoilsRequest(dev_id=17, address=19, bits=unpack([0xCD, 0x01], 10)),
          bits.WriteMultipleCoilsResponse(dev_id=17, address=19, count=10),
          {'kind': 'write-bits', 'unit': 17, 'address': 19, 'bits': unpack([0xCD, 0x01], 10), 'isSingle': False}),
    write('two registers from 2',
          registers.WriteMultipleRegistersRequest(dev_id=17, address=1, registers=[10, 258]),
          registers.WriteMultipleRegistersResponse(dev_id=17, address=1, count=2),
          {'kind': 'write-registers', 'unit': 17, 'address': 1, 'hex': '000a0102', 'isSingle': False}),
    read('the most registers', registers.ReadHoldingRegistersRequest, registers.ReadHoldingRegistersResponse,
         'holding', 247, 65411, 125, {'registers': [at * 521 % 65536 for at in range(125)]}),
    read('the most bits', bits.ReadCoilsRequest, bits.ReadCoilsResponse, 'coil', 1, 0, 2000,
         {'bits': [at % 3 == 0 for at in range(2000)]}),
]

exceptions = [
    {'function': function, 'code': code, 'unit': 10, 'hex': frame(ExceptionResponse(function, code, device_id=10))}
    for function in (1, 2, 3, 4, 5, 6, 15, 16)
    for code in (1, 2, 3, 4, 6)
]

# One case a line, so that a change is seen.
print('{\n"cases": [')
print(',\n'.join(json.dumps(case) for case in cases))
print('],\n"exceptions": [')
print(',\n'.join(json.dumps(case) for case in exceptions))
print(']\n}')
