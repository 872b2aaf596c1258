/* SPDX-License-Identifier: Apache-2.0 */
/* A command is words and a function in one table (carry_out); one place prints the answer. */
#include "gateway/simulator/simulation.h"

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "config/scalar.h"

#define WORDS_MAX 6 /* one more than any command has, so that too many are noticed */
#define MS_MAX 60000

void simulation_print(const char *text) {
    (void)printf("%s\n", text); /* line by line: whoever drives the simulation waits for each */
    (void)fflush(stdout);
}

void simulation_wrote(void *context, uint16_t device, const struct slave_write *write) {
    const struct simulation *simulation = context;
    const struct device_spec *spec = &simulation->config->devices[device].spec;
    for (uint16_t i = 0; i < spec->points_count; i++) {
        char bytes[SIMULATION_LINE_SIZE];
        struct text text;
        if (!slave_write_touches(write, &spec->points[i]))
            continue;
        text_init(&text, bytes, sizeof(bytes));
        text_add(&text, "written ");
        text_add(&text, spec->name);
        text_add(&text, "/");
        text_add(&text, spec->points[i].name);
        text_add(&text, " ");
        plant_add_value(&simulation->plant, device, i, &text);
        simulation_print(bytes);
    }
}

/* ---- buses ---- */

enum err simulation_plug(struct simulation *simulation, uint16_t bus, struct text *error) {
    if (simulation->config->buses[bus].kind == BUS_SERIAL)
        return line_plug(&simulation->lines[bus], error);
    return tcp_server_plug(simulation->server, bus, error);
}

void simulation_unplug(struct simulation *simulation, uint16_t bus) {
    if (simulation->config->buses[bus].kind == BUS_SERIAL)
        line_unplug(&simulation->lines[bus]);
    else
        tcp_server_unplug(simulation->server, bus);
}

/* ---- commands ---- */

/* The words of one command; the first is its name. On success the answer is its value, else a sentence. */
struct command {
    struct simulation *simulation;
    char *words[WORDS_MAX];
    unsigned count;
    struct text *answer;
};

static enum err refuse(const struct command *command, const char *word, const char *why) {
    text_add(command->answer, "'");
    text_add(command->answer, word);
    text_add(command->answer, why);
    return ERR_SYNTAX;
}

static enum err do_set(const struct command *command) {
    return plant_set(&command->simulation->plant, command->words[1], command->words[2], command->answer);
}

static enum err do_get(const struct command *command) {
    return plant_get(&command->simulation->plant, command->words[1], command->answer, command->answer);
}

static enum err do_unplug(const struct command *command) {
    return plant_plug(&command->simulation->plant, command->words[1], false, command->answer);
}

static enum err do_plug(const struct command *command) {
    return plant_plug(&command->simulation->plant, command->words[1], true, command->answer);
}

static enum err find_bus(const struct command *command, uint16_t *ret_bus) {
    return plant_find_bus(&command->simulation->plant, command->words[1], ret_bus, command->answer);
}

static enum err do_unplug_bus(const struct command *command) {
    uint16_t bus;
    enum err err = find_bus(command, &bus);
    if (err == ERR_OK)
        simulation_unplug(command->simulation, bus);
    return err;
}

static enum err do_plug_bus(const struct command *command) {
    uint16_t bus;
    enum err err = find_bus(command, &bus);
    return err == ERR_OK ? simulation_plug(command->simulation, bus, command->answer) : err;
}

static enum err do_delay(const struct command *command) {
    uint64_t delay_ms;
    if (scalar_duration(command->words[2], &delay_ms) && delay_ms <= MS_MAX)
        return plant_delay(&command->simulation->plant, command->words[1], (uint32_t)delay_ms * 1000, command->answer);
    return refuse(command, command->words[2], "' is no delay; expected a time up to 60s with its unit, such as 20ms");
}

/* ---- faults ---- */

static enum err refuse_kind(const struct command *command) {
    (void)refuse(command, command->words[2], "' is no fault; expected one of ");
    for (unsigned kind = 1; kind < FAULT_KINDS; kind++) {
        text_add(command->answer, kind > 1 ? ", " : "");
        text_add(command->answer, fault_name((enum fault_kind)kind));
    }
    return ERR_SYNTAX;
}

static enum err do_fault(const struct command *command) {
    uint16_t device;
    uint64_t percent = 100, ms;
    enum fault_kind kind = fault_find(command->words[2]);
    if (kind == FAULT_NONE)
        return refuse_kind(command);
    ms = fault_default_ms(kind);
    if (command->count > 3 && (!text_read_u64(command->words[3], &percent) || percent < 1 || percent > 100))
        return refuse(command, command->words[3], "' is no percentage; expected 1 to 100");
    if (command->count > 4 && (!text_read_u64(command->words[4], &ms) || ms > MS_MAX))
        return refuse(command, command->words[4], "' is no number of milliseconds; expected 0 to 60000");
    enum err err = plant_find_device(&command->simulation->plant, command->words[1], &device, command->answer);
    if (err != ERR_OK)
        return err;
    const struct config *config = command->simulation->config;
    if (config->buses[config->devices[device].bus].kind != BUS_SERIAL)
        return refuse(command, command->words[1], "' is not on a serial line; only those have faults");
    command->simulation->plant.devices[device].fault = (struct fault){.kind = kind, .percent = (uint8_t)percent, .ms = (uint32_t)ms};
    return ERR_OK;
}

static enum err do_clear(const struct command *command) {
    uint16_t device;
    enum err err = plant_find_device(&command->simulation->plant, command->words[1], &device, command->answer);
    if (err == ERR_OK)
        command->simulation->plant.devices[device].fault = (struct fault){.kind = FAULT_NONE};
    return err;
}

static enum err set_echo(const struct command *command, bool echoes) {
    uint16_t bus;
    enum err err = find_bus(command, &bus);
    if (err == ERR_OK)
        command->simulation->lines[bus].wire.echoes = echoes;
    return err;
}

static enum err do_fault_bus(const struct command *command) {
    return strcmp(command->words[2], "echo") == 0 ? set_echo(command, true)
                                                  : refuse(command, command->words[2], "' is no fault of a bus; expected echo");
}

static enum err do_clear_bus(const struct command *command) {
    return set_echo(command, false);
}

/* ---- what was observed ---- */

void simulation_report(const struct simulation *simulation) {
    for (uint16_t i = 0; i < simulation->config->buses_count; i++) {
        char bytes[SIMULATION_LINE_SIZE];
        struct text text;
        if (simulation->config->buses[i].kind != BUS_SERIAL || simulation->lines[i].wire.judge.requests == 0)
            continue;
        text_init(&text, bytes, sizeof(bytes));
        line_report(&simulation->lines[i], &text);
        simulation_print(bytes);
    }
}

static enum err do_report(const struct command *command) {
    simulation_report(command->simulation);
    return ERR_OK;
}

static enum err do_recount(const struct command *command) {
    for (uint16_t i = 0; i < command->simulation->config->buses_count; i++)
        line_recount(&command->simulation->lines[i]);
    return ERR_OK;
}

static enum err do_quit(const struct command *command) {
    command->simulation->ending = true;
    return ERR_OK;
}

static enum err carry_out(struct command *command) {
    static const struct {
        const char *name;
        unsigned words, words_max;
        const char *form;
        enum err (*act)(const struct command *command);
    } forms[] = {
        {"set", 3, 3, "set DEVICE/POINT VALUE", do_set},
        {"get", 2, 2, "get DEVICE/POINT", do_get},
        {"unplug", 2, 2, "unplug DEVICE", do_unplug},
        {"plug", 2, 2, "plug DEVICE", do_plug},
        {"unplug-bus", 2, 2, "unplug-bus BUS", do_unplug_bus},
        {"plug-bus", 2, 2, "plug-bus BUS", do_plug_bus},
        {"delay", 3, 3, "delay DEVICE TIME", do_delay},
        {"fault", 3, 5, "fault DEVICE KIND [PERCENT] [MS]", do_fault},
        {"clear", 2, 2, "clear DEVICE", do_clear},
        {"fault-bus", 3, 3, "fault-bus BUS echo", do_fault_bus},
        {"clear-bus", 2, 2, "clear-bus BUS", do_clear_bus},
        {"report", 1, 1, "report", do_report},
        {"recount", 1, 1, "recount", do_recount},
        {"quit", 1, 1, "quit", do_quit},
    };
    size_t i = 0;
    while (i < ARRAY_COUNT(forms) && strcmp(forms[i].name, command->words[0]) != 0)
        i++;
    if (i < ARRAY_COUNT(forms) && forms[i].words <= command->count && command->count <= forms[i].words_max)
        return forms[i].act(command);
    text_add(command->answer, i == ARRAY_COUNT(forms) ? "unknown command '" : "wrong number of words after '");
    text_add(command->answer, command->words[0]);
    text_add(command->answer, i == ARRAY_COUNT(forms) ? "'; expected one of " SIMULATION_COMMANDS : "'; expected ");
    text_add(command->answer, i == ARRAY_COUNT(forms) ? "" : forms[i].form);
    return ERR_SYNTAX;
}

void simulation_command(struct simulation *simulation, char *line) {
    char bytes[SIMULATION_LINE_SIZE], *rest = line;
    struct text answer;
    struct command command = {.simulation = simulation, .answer = &answer};
    for (char *word; (word = strsep(&rest, " \t\r")) != NULL;)
        if (*word && command.count < WORDS_MAX)
            command.words[command.count++] = word;
    if (command.count == 0 || command.words[0][0] == '#')
        return;
    text_init(&answer, bytes, sizeof(bytes));
    bool ok = carry_out(&command) == ERR_OK;
    (void)printf("%s%s%s\n", ok ? "ok" : "error: ", ok && answer.length > 0 ? " " : "", bytes);
    (void)fflush(stdout);
}
