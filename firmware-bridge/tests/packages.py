"""Checks what the package managers read, and builds the library as they would: CMake for real, the ESP-IDF and Zephyr files by CMake with
stand-ins for their functions, the Arduino examples with Arduino's own AVR core for an Uno. Needs cmake, avr-gcc and arduino-core-avr."""

import json
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / 'build' / 'packages'
CORE = pathlib.Path('/usr/share/arduino/hardware/arduino/avr')
SOURCES = ['headwater_bridge.c', 'headwater_ring.c']
EXAMPLES = ['Thermometer', 'PulseCounter', 'Rs485Node', 'Relay']
# https://arduino.github.io/arduino-cli/latest/library-specification/
CATEGORIES = {
    'Display', 'Communication', 'Signal Input/Output', 'Sensors', 'Device Control', 'Timing', 'Data Storage', 'Data Processing', 'Other',
}  # fmt: skip


def check(condition, complaint):
    if not condition:
        sys.exit(f'FAILED: {complaint}')


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    check(done.returncode == 0, f'{" ".join(map(str, command))}\n{done.stdout}{done.stderr}')
    return done.stdout


def version():
    return re.search(r'HWB_LIBRARY_VERSION "([^"]+)"', (ROOT / 'headwater_bridge.h').read_text()).group(1)


def arduino_manifest():
    lines = (ROOT / 'library.properties').read_text().splitlines()
    fields = dict(line.split('=', 1) for line in lines)
    for name in ('name', 'version', 'author', 'maintainer', 'sentence', 'paragraph', 'category', 'url', 'architectures'):
        check(fields.get(name), f'library.properties has no {name}')
    check(re.fullmatch(r'[A-Za-z][A-Za-z0-9 _.-]{0,62}', fields['name']), 'the name is not one that Arduino takes')
    check(re.fullmatch(r'\d+\.\d+\.\d+', fields['version']) and fields['version'] == version(), 'library.properties: version')
    check(fields['category'] in CATEGORIES, 'library.properties: category')
    for header in fields['includes'].split(','):
        check((ROOT / header).is_file(), f'library.properties: {header} does not exist')
    for example in EXAMPLES:
        check((ROOT / 'examples' / example / f'{example}.ino').is_file(), f'examples/{example} has no sketch of its name')


def platformio_manifest():
    manifest = json.loads((ROOT / 'library.json').read_text())
    known = {
        'name', 'version', 'description', 'keywords', 'license', 'authors', 'frameworks', 'platforms', 'headers', 'build', 'examples', 'export',
    }  # fmt: skip
    check(set(manifest) <= known, f'library.json: unknown {set(manifest) - known}')
    check(manifest['version'] == version(), 'library.json: version')
    check(len(manifest['description']) <= 255, 'library.json: the description is too long')
    for header in manifest['headers']:
        check((ROOT / header).is_file(), f'library.json: {header} does not exist')
    check(manifest['build']['srcFilter'] == ['-<*>', *(f'+<{source}>' for source in SOURCES)], 'library.json: sources')
    for example in manifest['examples']:
        for file in example['files']:
            check((ROOT / example['base'] / file).is_file(), f'library.json: {file} does not exist')


def component_manifest():
    text = (ROOT / 'idf_component.yml').read_text()
    check(f"version: '{version()}'" in text, 'idf_component.yml: version')
    check(re.search(r'^license: Apache-2.0$', text, re.M), 'idf_component.yml: license')
    check(f'VERSION {version()} ' in (ROOT / 'CMakeLists.txt').read_text(), 'CMakeLists.txt: version')
    module = (ROOT / 'zephyr' / 'module.yml').read_text()
    check((ROOT / re.search(r'cmake: (\S+)', module).group(1) / 'CMakeLists.txt').is_file(), 'zephyr/module.yml: cmake')
    check((ROOT / re.search(r'kconfig: (\S+)', module).group(1)).is_file(), 'zephyr/module.yml: kconfig')
    used = set(re.findall(r'CONFIG_(HEADWATER_\w+)', (ROOT / 'zephyr' / 'CMakeLists.txt').read_text())) - {'HEADWATER_BRIDGE_'}
    parts = re.search(r'foreach\(part (.*)\)', (ROOT / 'zephyr' / 'CMakeLists.txt').read_text()).group(1).split()
    used |= {f'HEADWATER_BRIDGE_{part}' for part in parts}
    known = set(re.findall(r'^config (\w+)$', (ROOT / 'zephyr' / 'Kconfig').read_text(), re.M))
    check(used == known, f'zephyr: Kconfig and CMakeLists.txt differ in {used ^ known}')


def cmake_project():
    build = BUILD / 'consumer'
    run('cmake', '-S', ROOT / 'tests' / 'consumer', '-B', build, f'-DLIBRARY={ROOT}', '-DCMAKE_C_FLAGS=-Wall -Wextra -Werror')
    run('cmake', '--build', build)
    run(build / 'consumer')


# What the two systems define, as far as the files use it: each says what it was given.
STAND_INS = """
function(idf_component_register)
  message(STATUS "SAID ${ARGN}")
endfunction()
function(zephyr_library)
endfunction()
function(zephyr_library_sources)
  message(STATUS "SAID ${ARGN}")
endfunction()
function(zephyr_library_sources_ifdef name)
  if(${name})
    message(STATUS "SAID ${ARGN}")
  endif()
endfunction()
function(zephyr_include_directories)
  message(STATUS "SAID ${ARGN}")
endfunction()
function(zephyr_library_compile_definitions)
  message(STATUS "SAID ${ARGN}")
endfunction()
"""


def said_by(folder, settings):
    script = BUILD / 'stand-in.cmake'
    script.write_text(STAND_INS + ''.join(f'set({name} 1)\n' for name in settings) + f'include({folder}/CMakeLists.txt)\n')
    said = subprocess.run(['cmake', '-P', script], capture_output=True, text=True, cwd=ROOT)
    check(said.returncode == 0, said.stderr)
    return said.stdout + said.stderr


def esp_and_zephyr():
    said = said_by(ROOT, ['ESP_PLATFORM'])
    check('headwater_bridge.c' in said and 'headwater_ring.c' in said and 'INCLUDE_DIRS' in said, f'ESP-IDF: {said}')
    parts = [f'CONFIG_HEADWATER_BRIDGE_{part}' for part in ('PERSIST', 'RETAINED', 'COMMANDS', 'PACK', 'CHECKS')]
    said = said_by(ROOT / 'zephyr', ['CONFIG_HEADWATER_BRIDGE', 'CONFIG_HEADWATER_RING', *parts])
    check(all(source in said for source in SOURCES) and 'HWB_POLLED=0' in said and 'HWB_PACK=0' not in said, f'Zephyr: {said}')


def arduino_examples():
    check((CORE / 'boards.txt').is_file(), 'MISSING: Arduino\'s AVR core (Debian: apt-get install arduino-core-avr)')
    flags = ['-mmcu=atmega328p', '-DF_CPU=16000000L', '-DARDUINO=10819', '-DARDUINO_AVR_UNO', '-DARDUINO_ARCH_AVR', '-Os', '-ffunction-sections',
             '-fdata-sections', f'-I{CORE}/cores/arduino', f'-I{CORE}/variants/standard', f'-I{CORE}/libraries/EEPROM/src', f'-I{ROOT}']  # fmt: skip
    # The core is written for a newer compiler, whose float.h has this for C++, too.
    cpp = ['avr-g++', *flags, '-DDECIMAL_DIG=9', '-std=gnu++11', '-fpermissive', '-fno-exceptions', '-fno-threadsafe-statics']
    core, names = BUILD / 'core', []
    core.mkdir(parents=True, exist_ok=True)
    for source in sorted((CORE / 'cores' / 'arduino').iterdir()):
        if source.suffix not in ('.c', '.cpp', '.S'):
            continue
        names.append(core / (source.name + '.o'))
        compiler = cpp if source.suffix == '.cpp' else ['avr-gcc', *flags, '-std=gnu11'] if source.suffix == '.c' else ['avr-gcc', *flags]
        run(*compiler, '-w', '-c', source, '-o', names[-1])
    library = []
    for source in SOURCES:
        library.append(core / f'library_{source}.o')
        run('avr-gcc', *flags, '-std=gnu11', '-Wall', '-Wextra', '-Werror', '-c', ROOT / source, '-o', library[-1])
    for example in EXAMPLES:
        sketch, elf = BUILD / f'{example}.cpp', BUILD / f'{example}.elf'
        text = (ROOT / 'examples' / example / f'{example}.ino').read_text()
        sketch.write_text(f'#include <Arduino.h>\n#line 1 "{example}.ino"\n{text}')
        run(*cpp, '-Wall', '-Wextra', '-Werror', '-c', sketch, '-o', sketch.with_suffix('.o'))
        run('avr-gcc', '-mmcu=atmega328p', '-Os', '-Wl,--gc-sections', sketch.with_suffix('.o'), *library, *names, '-lm', '-o', elf)
        text, data, bss = (int(number) for number in run('avr-size', elf).splitlines()[1].split()[:3])
        check(text + data <= 32256 and data + bss <= 2048 - 256, f'{example} does not fit an Uno: {text + data} B flash, {data + bss} B RAM')
        print(f'Arduino {example}: {text + data} B of 32,256 flash, {data + bss} B of 2,048 RAM')


for tool, package in (('cmake', 'cmake'), ('avr-gcc', 'gcc-avr avr-libc')):
    check(shutil.which(tool), f'MISSING: {tool} (Debian: apt-get install {package})')
BUILD.mkdir(parents=True, exist_ok=True)
for step in (arduino_manifest, platformio_manifest, component_manifest, cmake_project, esp_and_zephyr, arduino_examples):
    step()
    print(f'{step.__name__.replace("_", " ")}: right')
