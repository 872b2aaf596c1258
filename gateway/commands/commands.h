/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands of yanhuo, one file each. argv[0] is the subcommand's own name; the result is the exit status:
 * 0 done, 1 it could not be done, 2 the command line or the configuration is wrong (said on stderr). */
#ifndef YANHUO_COMMANDS_H
#define YANHUO_COMMANDS_H

int command_run(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_check(int argc, char **argv);
int command_checklist(int argc, char **argv);
int command_events(int argc, char **argv);
int command_explain(int argc, char **argv);
int command_schema(int argc, char **argv);
int command_command(int argc, char **argv);
int command_simulate(int argc, char **argv);
int command_scan(int argc, char **argv);
int command_probe(int argc, char **argv);
int command_assign(int argc, char **argv);
int command_sniff(int argc, char **argv);

#endif
