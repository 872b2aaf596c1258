/* SPDX-License-Identifier: Apache-2.0 */
/* Ports, settings and single reads, as the commands about a line share them. */
#include "gateway/commands/field.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "config/scalar.h"

#define TCP_PORT 502
#define CONNECT_MS 3000
#define BY_ID "/dev/serial/by-id"
#define SEVERAL_TRIES 3

const struct sweep_setting field_usual[FIELD_USUAL_COUNT] = {
    {9600, PARITY_NONE, 1}, {4800, PARITY_NONE, 1},  {2400, PARITY_NONE, 1},  {19200, PARITY_NONE, 1},
    {9600, PARITY_EVEN, 1}, {19200, PARITY_EVEN, 1}, {38400, PARITY_NONE, 1}, {115200, PARITY_NONE, 1},
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
    (void)number;
    interrupted = 1;
}

void field_catch_interrupt(void) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool field_interrupted(void) {
    return interrupted != 0;
}

/* ---- the port ---- */

bool field_port_read(struct field_port *port, const char *command, const char *text) {
    static const char *const schemes[] = {"tcp:", "rtu_over_tcp:"};
    memset(port, 0, sizeof(*port));
    port->command = command;
    port->state_dir = FIELD_STATE_DIR;
    port->spec = (struct bus_spec){.name = text, .kind = BUS_SERIAL, .serial = text, .baud = 9600, .stop_bits = 1, .connect_timeout_ms = CONNECT_MS};
    for (unsigned i = 0; i < ARRAY_COUNT(schemes); i++) {
        if (strncmp(text, schemes[i], strlen(schemes[i])) != 0)
            continue;
        port->spec.kind = i == 0 ? BUS_TCP : BUS_RTU_OVER_TCP;
        port->spec.host = port->host;
        if (scalar_host(text + strlen(schemes[i]), TCP_PORT, port->host, sizeof(port->host), &port->spec.port))
            return true;
        (void)fprintf(stderr, "yanhuo %s: '%s' is no endpoint; expected tcp:HOST:PORT, such as tcp:192.168.10.20:502\n", command, text);
        return false;
    }
    return true;
}

void field_port_set(struct field_port *port, const struct sweep_setting *setting) {
    port->spec.baud = setting->baud;
    port->spec.parity = setting->parity;
    port->spec.stop_bits = setting->stop_bits;
}

static void say_owner(const struct field_port *port) {
    char name[128];
    bool gateway = false;
    if (!field_owner(port->spec.serial, name, sizeof(name), &gateway)) {
        (void)fprintf(stderr, "  Another program has the port open. As root, `fuser -v %s` names it.\n", port->spec.serial);
        return;
    }
    (void)fprintf(stderr, "  It is in use by %s. Two masters on one line disturb each other.\n", name);
    if (gateway)
        (void)fprintf(stderr, "  Stop the gateway first:   systemctl stop yanhuo\n"
                              "  and start it again after: systemctl start yanhuo      (no alarms come in between)\n");
    else
        (void)fprintf(stderr, "  End that program, then try again.\n");
}

static void say_failure(const struct field_port *port, int os_error) {
    char reason[128];
    if (port->spec.kind == BUS_SERIAL)
        (void)fprintf(stderr, "yanhuo %s: cannot use %s at %u baud: ", port->command, port->spec.serial, (unsigned)port->spec.baud);
    else
        (void)fprintf(stderr, "yanhuo %s: cannot connect to %s port %u: ", port->command, port->host, port->spec.port);
    if (os_error == ERANGE) {
        (void)fprintf(stderr, "the name is not known\n  Write its address, such as 192.168.10.20, or check the network's DNS.\n");
    } else if (os_error == EBUSY) {
        (void)fprintf(stderr, "it is locked\n");
        say_owner(port);
    } else {
        (void)fprintf(stderr, "%s\n  %s\n", strerror_r(os_error, reason, sizeof(reason)), bus_client_advice(os_error));
    }
}

struct bus_client *field_open(const struct field_port *port) {
    struct bus_client *client = NULL;
    int os_error = bus_client_open(&port->spec, &client);
    if (os_error)
        say_failure(port, os_error);
    return os_error ? NULL : client;
}

struct bus_client *field_open_shared(struct field_port *port) {
    struct bus_client *client = NULL;
    char setting[FIELD_SETTING_SIZE];
    int os_error = bus_client_open(&port->spec, &client);
    if (!os_error)
        return client;
    if (os_error == EBUSY && (client = field_guest_open(port))) {
        struct sweep_setting line = {port->spec.baud, port->spec.parity, port->spec.stop_bits};
        (void)fprintf(stderr,
                      "The gateway uses %s. It asks for us in its spare time, at the line's own %s: other speeds cannot be tried\n"
                      "while it runs, and nothing can be written.\n",
                      port->spec.serial, field_setting_text(setting, &line));
        return client;
    }
    say_failure(port, os_error);
    if (os_error == EBUSY)
        (void)fprintf(stderr, "  If it is the gateway, it can be asked to ask, as root: --state names the folder of its state (now %s).\n",
                      port->state_dir);
    return NULL;
}

const char *field_setting_text(char buffer[FIELD_SETTING_SIZE], const struct sweep_setting *setting) {
    static const char parities[] = {[PARITY_NONE] = 'N', [PARITY_EVEN] = 'E', [PARITY_ODD] = 'O'};
    if (setting->baud)
        (void)snprintf(buffer, FIELD_SETTING_SIZE, "%u 8%c%u", (unsigned)setting->baud, parities[setting->parity],
                       (unsigned)setting->stop_bits % 10u);
    else
        (void)snprintf(buffer, FIELD_SETTING_SIZE, "network");
    return buffer;
}

/* ---- words of the command line ---- */

bool field_number_read(const char *command, const char *what, const char *text, uint64_t least, uint64_t most, uint64_t *ret_number) {
    if (text_read_u64(text, ret_number) && *ret_number >= least && *ret_number <= most)
        return true;
    (void)fprintf(stderr, "yanhuo %s: %s is '%s'; expected a whole number from %llu to %llu\n", command, what, text, (unsigned long long)least,
                  (unsigned long long)most);
    return false;
}

static const char *next_word(const char *list, char word[32]) {
    size_t length = strcspn(list, ",");
    (void)snprintf(word, 32, "%.*s", (int)(length < 31 ? length : 31), list);
    return list[length] ? list + length + 1 : NULL;
}

bool field_bauds_read(const char *command, const char *text, uint32_t bauds[FIELD_BAUDS_MAX], unsigned *ret_count) {
    char word[32];
    *ret_count = 0;
    for (const char *rest = text; rest;) {
        uint64_t baud;
        rest = next_word(rest, word);
        if (*ret_count == FIELD_BAUDS_MAX || !field_number_read(command, "--baud", word, 300, 1000000, &baud))
            return false;
        bauds[(*ret_count)++] = (uint32_t)baud;
    }
    return true;
}

bool field_parities_read(const char *command, const char *text, enum bus_parity parities[3], unsigned *ret_count) {
    char word[32];
    *ret_count = 0;
    for (const char *rest = text; rest;) {
        unsigned parity;
        rest = next_word(rest, word);
        if (*ret_count == 3 || !(scalar_word(word, strlen(word), "none|even|odd", &parity) || scalar_word(word, strlen(word), "N|E|O", &parity) ||
                                 scalar_word(word, strlen(word), "8N1|8E1|8O1", &parity))) {
            (void)fprintf(stderr, "yanhuo %s: --parity is '%s'; expected none, even, odd, or several of them joined by commas\n", command, text);
            return false;
        }
        parities[(*ret_count)++] = (enum bus_parity)parity;
    }
    return true;
}

bool field_units_read(const char *command, const char *text, uint64_t *ret_first, uint64_t *ret_last) {
    char first[16];
    const char *dash = strchr(text, '-');
    size_t length = dash ? (size_t)(dash - text) : strlen(text);
    if (length < sizeof(first)) {
        memcpy(first, text, length);
        first[length] = '\0';
        if (text_read_u64(first, ret_first) && text_read_u64(dash ? dash + 1 : first, ret_last) && *ret_first <= *ret_last && *ret_last <= 255)
            return true;
    }
    (void)fprintf(stderr, "yanhuo %s: --units is '%s'; expected a range such as 1-247, or one unit id\n", command, text);
    return false;
}

unsigned field_settings_make(const char *command, bool serial, const char *bauds_text, const char *parities_text,
                             struct sweep_setting settings[SWEEP_SETTINGS_MAX]) {
    static const uint32_t usual_bauds[] = {9600, 4800, 2400, 19200, 38400, 115200};
    uint32_t bauds[FIELD_BAUDS_MAX];
    enum bus_parity parities[3] = {PARITY_NONE};
    unsigned bauds_count = ARRAY_COUNT(usual_bauds), parities_count = 1, count = 0;
    memcpy(bauds, usual_bauds, sizeof(usual_bauds));
    if (!serial) {
        settings[0] = (struct sweep_setting){0, PARITY_NONE, 1};
        return 1;
    }
    if (!bauds_text && !parities_text) {
        memcpy(settings, field_usual, sizeof(field_usual));
        return FIELD_USUAL_COUNT;
    }
    if ((bauds_text && !field_bauds_read(command, bauds_text, bauds, &bauds_count)) ||
        (parities_text && !field_parities_read(command, parities_text, parities, &parities_count)))
        return 0;
    for (unsigned p = 0; p < parities_count; p++)
        for (unsigned b = 0; b < bauds_count; b++)
            settings[count++] = (struct sweep_setting){bauds[b], parities[p], 1};
    return count;
}

/* ---- single reads ---- */

bool field_read(struct bus_client *client, uint8_t unit_id, enum frame_function function, uint16_t address, uint16_t count, int64_t timeout_us,
                struct bus_answer *ret_answer, const uint8_t **ret_data) {
    struct bus_request request = {.unit_id = unit_id, .timeout_us = timeout_us};
    uint8_t exception;
    size_t size;
    frame_read(&request.pdu, function, address, count);
    bus_client_ask(client, &request, ret_answer);
    return ret_answer->status == BUS_ANSWERED &&
           frame_match(&request.pdu, ret_answer->pdu.bytes, ret_answer->pdu.size, &exception, ret_data, &size) == FRAME_GOOD;
}

void field_add_failure(const struct bus_answer *answer, struct text *text) {
    char reason[128];
    switch (answer->status) {
    case BUS_ANSWERED:
        text_add(text, "exception ");
        text_add_u64(text, answer->pdu.size > 1 ? answer->pdu.bytes[1] : 0);
        text_add(text, ": ");
        text_add(text, frame_exception_name(answer->pdu.size > 1 ? answer->pdu.bytes[1] : 0));
        break;
    case BUS_TIMEOUT:
        text_add(text, "no answer");
        break;
    case BUS_CORRUPT:
        text_add(text, "only damaged answers: two devices with one unit id, another speed, or a bad line");
        break;
    case BUS_DISCONNECTED:
        text_add(text, "the port is gone: ");
        text_add(text, strerror_r(answer->os_error, reason, sizeof(reason)));
        break;
    }
}

bool field_is_several(struct bus_client *client, uint8_t unit_id, int64_t timeout_us) {
    unsigned corrupt = 0, doubled = 0;
    for (unsigned i = 0; i < SEVERAL_TRIES && !field_interrupted(); i++) {
        struct bus_answer answer;
        const uint8_t *data;
        uint8_t bytes[FRAME_SIZE];
        ssize_t length, heard = 0;
        (void)field_read(client, unit_id, FC_READ_HOLDING, 0, 1, timeout_us, &answer, &data);
        corrupt += answer.status == BUS_CORRUPT;
        int64_t until_us = now_mono_us() + timeout_us / 2;
        while (now_mono_us() < until_us && (length = bus_client_hear(client, bytes, sizeof(bytes), until_us)) >= 0)
            heard += length;
        doubled += heard > 0;
    }
    return corrupt + doubled >= 2;
}

/* ---- lines to paste ---- */

/* The adapter's lasting name, where it has one: numbers of /dev/ttyUSB change with the order of plugging in. */
static void lasting_name(const char *path, char ret_path[PATH_MAX]) {
    char real[PATH_MAX], other[PATH_MAX], link[PATH_MAX];
    (void)text_copy(ret_path, PATH_MAX, path);
    DIR *directory = realpath(path, real) ? opendir(BY_ID) : NULL;
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && snprintf(link, sizeof(link), "%s/%s", BY_ID, entry->d_name) < PATH_MAX && realpath(link, other) &&
            strcmp(real, other) == 0)
            (void)text_copy(ret_path, PATH_MAX, link);
    if (directory)
        (void)closedir(directory);
}

void field_print_bus(const struct field_port *port, const char *bus) {
    static const char *const parities[] = {[PARITY_NONE] = "none", [PARITY_EVEN] = "even", [PARITY_ODD] = "odd"};
    char path[PATH_MAX];
    if (port->spec.kind == BUS_SERIAL) {
        lasting_name(port->spec.serial, path);
        (void)printf("  %s: {serial: %s, baud: %u, parity: %s}\n", bus, path, (unsigned)port->spec.baud, parities[port->spec.parity]);
    } else {
        (void)printf("  %s: {%s: \"%s:%u\"}\n", bus, port->spec.kind == BUS_TCP ? "tcp" : "rtu_over_tcp", port->host, port->spec.port);
    }
}

void field_print_device(const struct profile *profile, const char *bus, uint8_t unit_id) {
    if (profile)
        (void)printf("  %s-%u: {profile: %s, bus: %s, unit_id: %u}\n", profile->name, unit_id, profile->name, bus, unit_id);
    else
        (void)printf("  device-%u: {bus: %s, unit_id: %u, points: {value: {read: holding, address: 0, type: u16}}}\n", unit_id, bus, unit_id);
}
