"""Prints vectors.json as a C header, since the tests run where there are no files: python3 vectors.py vectors.json > vectors.h"""

import json
import sys

TYPES = {
    'HELLO': 0x01, 'WELCOME': 0x02, 'WHO': 0x03, 'DATA': 0x10, 'PACK': 0x11, 'PAST': 0x12, 'CHANNEL': 0x13, 'SKIP': 0x14, 'ECHO': 0x15,
    'ANSWER': 0x16, 'PING': 0x17, 'ACK': 0x20, 'NAK': 0x21, 'TIME': 0x22, 'COMMAND': 0x23,
}  # fmt: skip
TEXTS = ('name', 'firmware')
arrays = {}


def array(data):
    """The name of a static array with these bytes; equal ones are shared."""
    if data not in arrays:
        arrays[data] = f'bytes_{len(arrays)}'
        numbers = ','.join(str(each) for each in data) or '0'
        print(f'static const uint8_t {arrays[data]}[] = {{{numbers}}};')
    return f'{{{arrays[data]}, {len(data)}}}'


def quoted(text):
    return json.dumps(text, ensure_ascii=True)


def meaning(fields):
    """Numbers in the order of the specification, then byte strings in theirs; a PACK's records follow its own two numbers."""
    numbers, strings = [], []
    for name, value in fields.items():
        if name == 'records':
            for record in value:
                numbers += [record['channel'], record['later']]
                strings.append(bytes.fromhex(record['payload']))
        elif isinstance(value, str):
            strings.append(value.encode() if name in TEXTS else bytes.fromhex(value))
        else:
            numbers.append(value)
    return numbers, strings


def frames(name, entries):
    rows = []
    for index, each in enumerate(entries):
        numbers, strings = meaning(each.get('fields', {}))
        print(f'static const uint64_t {name}_{index}_n[] = {{{",".join(f"{n}u" if n < 2**31 else f"{n}ull" for n in numbers) or 0}}};')
        parts = [array(string) for string in strings]
        print(f'static const bytes_t {name}_{index}_s[] = {{{", ".join(parts) or "{0, 0}"}}};')
        address = each.get('address')
        rows.append(
            f'    {{{quoted(each["name"])}, {each["key"]}u, {-1 if address is None else address}, {int(each.get("final", False))}, '
            f'{TYPES.get(each.get("type"), 0)}, {array(bytes.fromhex(each["wire"]))}, {name}_{index}_n, {len(numbers)}, '
            f'{name}_{index}_s, {len(strings)}}},'
        )
    print(f'static const frame_vector_t {name}_vectors[] = {{', *rows, '};', sep='\n')


with open(sys.argv[1]) as file:
    vectors = json.load(file)
assert vectors['version'] == 1
print('/* Printed from vectors.json by vectors.py. */')
for name in ('frames', 'lenient', 'dropped', 'bad'):
    frames(name, vectors[name])
rows = [f'    {{{array(bytes.fromhex(e["plain"]))}, {array(bytes.fromhex(e["coded"]))}}},' for e in vectors['cobs']]
print('static const cobs_vector_t cobs_vectors[] = {', *rows, '};', sep='\n')
rows = []
for each in vectors['streams']:
    seen = [sum(kind in part for part in each['seen']) for kind in ('frame', 'text')]
    seen.append(sum(part.get('bad', 0) for part in each['seen']))
    rows.append(f'    {{{quoted(each["name"])}, {each["key"]}u, {array(bytes.fromhex(each["bytes"]))}, {seen[0]}, {seen[1] + seen[2]}}},')
print('static const stream_vector_t stream_vectors[] = {', *rows, '};', sep='\n')
