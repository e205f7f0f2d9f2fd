"""Prints what the library costs on each target: python3 size.py NAME=COMPILER ... (each COMPILER a command that compiles C).

flash: code and constants of the object at -Os. The core is what is left when all options are off (-DHWB_POLLED=0 and so on); each option's
price is what the core grows by when that one is on; all together cost a little less or more than the sum. RAM: the struct, buffers apart.
stack: the deepest path through the library's own functions, from -fstack-usage and the calls in the object's own code, callbacks apart.
"""

import re
import subprocess
import sys

FLAGS = ['-std=c99', '-Os', '-ffunction-sections', '-fdata-sections']
OPTIONS = ('PACK', 'COMMANDS', 'RETAINED', 'PERSIST', 'POLLED', 'CHECKS')


def without(*left):
    """Flags that leave out all options but those."""
    return [f'-DHWB_{option}=0' for option in OPTIONS if option not in left]


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


def build(compiler, out, source, flags=()):
    compile_source(compiler, source, out, list(flags))
    return flash(compiler, out)


prices = [f'+ {option}' for option in OPTIONS]
columns = ['target', 'core', *prices, 'all', 'ring', 'hwb_t', 'hwr_t', 'stack, core', 'stack, all', 'stack, all and ring']
print('| ' + ' | '.join(columns) + ' |')
print('|---' + '|---:' * (len(columns) - 1) + '|')
for argument in sys.argv[1:]:
    name, command = argument.split('=', 1)
    compiler = command.split()
    out = f'build/{name}/size.o'
    ring = build(compiler, out, 'headwater_ring.c')
    ring_stack = stack(compiler, out, 'hwr_')
    core = build(compiler, out, 'headwater_bridge.c', without())
    core_stack = stack(compiler, out, 'hwb_')
    prices = [build(compiler, out, 'headwater_bridge.c', without(option)) - core for option in OPTIONS]
    whole = build(compiler, out, 'headwater_bridge.c')
    whole_stack = stack(compiler, out, 'hwb_')
    structs = [ram(compiler, type_name, f'build/{name}/sizeof.o') for type_name in ('hwb_t', 'hwr_t')]
    row = [name, core, *prices, whole, ring, *structs, core_stack, whole_stack, whole_stack + ring_stack]
    print('| ' + ' | '.join(str(cell) for cell in row) + ' |')
