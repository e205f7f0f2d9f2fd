"""Prints what the library costs on each target: python3 size.py NAME=COMPILER ... (each COMPILER a command that compiles C).

flash: code and constants of the object at -Os; the smallest core is without what its macros leave out. RAM: the struct, buffers apart.
stack: the deepest path through the library's own functions, from -fstack-usage and the calls in the object's own code, callbacks apart.
"""

import re
import subprocess
import sys

FLAGS = ['-std=c99', '-Os', '-ffunction-sections', '-fdata-sections']
SMALL = [f'-DHWB_{part}=0' for part in ('POLLED', 'PERSIST', 'RETAINED', 'PACK', 'COMMANDS', 'CHECKS')]


def run(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def tool(compiler, name):
    return compiler[0][: -len('gcc')] + name


def compile_source(compiler, source, out, flags):
    run([*compiler, *FLAGS, *flags, '-fstack-usage', '-c', source, '-o', out])


def flash(compiler, out):
    """Bytes of code and of constants."""
    lines = run([tool(compiler, 'size'), '-A', out]).splitlines()
    rows = [line.split() for line in lines if line.startswith(('.text', '.rodata', '.progmem', '.data', '.srodata'))]
    return sum(int(row[1]) for row in rows)


def ram(compiler, type_name, out):
    source = out + '.sizeof.c'
    with open(source, 'w') as file:
        file.write(f'#include "../../headwater_ring.h"\nchar size_of_it[sizeof({type_name})];\n')
    run([*compiler, '-c', source, '-o', out])
    symbols = run([tool(compiler, 'nm'), '-S', out])
    return int(re.search(r'^\S+ (\S+) . size_of_it', symbols, re.M).group(1), 16)


def calls(compiler, out):
    """Which functions each function calls, from the relocations of the object."""
    listing = run([tool(compiler, 'objdump'), '-dr', out])
    graph, current = {}, None
    for line in listing.splitlines():
        start = re.match(r'[0-9a-f]+ <([^.>][^>]*)>:', line)
        if start:
            current = graph.setdefault(start.group(1), set())
            continue
        target = re.search(r'R_\S+\s+([\w.$]+)', line) or re.search(r'\b(?:bl|call|rcall|jal|jmp|rjmp|b|j|tail)\s+\S*\s*<([\w.$]+)', line)
        if target and current is not None:
            current.add(re.sub(r'^\.text\.', '', target.group(1)))
    return graph


def stack(compiler, out, roots):
    frames = {}
    with open(out.replace('.o', '.su')) as file:
        for line in file:
            place, size, _ = line.split('\t')
            frames[place.split(':')[-1]] = int(size)
    if compiler[0].startswith('avr'):
        frames = {name: size + 2 for name, size in frames.items()}  # the return address
    graph = calls(compiler, out)

    def depth(name, path=()):
        if name in path or name not in frames:
            return 0
        return frames[name] + max([depth(callee, (*path, name)) for callee in graph.get(name, ())], default=0)

    return max(depth(name) for name in frames if name.startswith(roots))


print('| target | core, flash | smallest core | ring, flash | hwb_t, RAM | hwr_t, RAM | stack, core | stack, with ring |')
print('|---|---:|---:|---:|---:|---:|---:|---:|')
for argument in sys.argv[1:]:
    name, command = argument.split('=', 1)
    compiler = command.split()
    out = f'build/{name}/size.o'
    compile_source(compiler, 'headwater_ring.c', out, [])
    ring, ring_stack = flash(compiler, out), stack(compiler, out, 'hwr_')
    compile_source(compiler, 'headwater_bridge.c', out, SMALL)
    small = flash(compiler, out)
    compile_source(compiler, 'headwater_bridge.c', out, [])
    core, core_stack = flash(compiler, out), stack(compiler, out, 'hwb_')
    structs = [ram(compiler, type_name, f'build/{name}/sizeof.o') for type_name in ('hwb_t', 'hwr_t')]
    print(f'| {name} | {core} | {small} | {ring} | {structs[0]} | {structs[1]} | {core_stack} | {core_stack + ring_stack} |')
