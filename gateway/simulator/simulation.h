/* SPDX-License-Identifier: Apache-2.0 */
/* A running simulation and the commands that a person, or a test, gives it. Not pure: answers go to standard output.
 * Owner: gateway/commands/simulate.c, which waits and calls. */
#ifndef YANHUO_SIMULATION_H
#define YANHUO_SIMULATION_H

#include "gateway/simulator/line.h"
#include "gateway/simulator/tcp_server.h"

#define SIMULATION_LINE_SIZE 512 /* of a command and of an answer */
#define SIMULATION_COMMANDS "set, get, unplug, plug, unplug-bus, plug-bus, delay, fault, clear, fault-bus, clear-bus, report, recount, quit"

struct simulation {
    const struct config *config;
    struct plant plant;
    struct plant_listener listener;
    struct line *lines; /* by bus; used for serial ones only */
    struct tcp_server *server;
    bool ending;
};

void simulation_print(const char *text); /* one line, at once */

/* Told by lines and servers: prints "written DEVICE/POINT VALUE". */
void simulation_wrote(void *context, uint16_t device, const struct slave_write *write);

NODISCARD enum err simulation_plug(struct simulation *simulation, uint16_t bus, struct text *error);
void simulation_unplug(struct simulation *simulation, uint16_t bus);

/* Carries out one line of input, which is cut into words, and prints its answer. */
void simulation_command(struct simulation *simulation, char *line);

/* A line for each serial bus that was asked anything. */
void simulation_report(const struct simulation *simulation);

#endif
