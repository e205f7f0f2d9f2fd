"""configure.py KCONFIG PRJ_CONF OUT: the settings of an application, as Zephyr's build makes them. A symbol that does not exist, or
does not take the value that it is given, is an error, as it is there."""

import sys

import kconfiglib

kconfig, project, out = sys.argv[1:]
symbols = kconfiglib.Kconfig(kconfig, warn_to_stderr=False)
symbols.warn_assign_undef = True
symbols.load_config(project)
for line in open(project):
    name, _, value = line.strip().removeprefix('CONFIG_').partition('=')
    if value and name in symbols.syms and symbols.syms[name].str_value != value:
        symbols.warnings.append(f'{name} is not {value}: its dependencies are not met')
if symbols.warnings:
    sys.exit('\n'.join(symbols.warnings))
symbols.write_config(out)
