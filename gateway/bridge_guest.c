/* SPDX-License-Identifier: Apache-2.0 */
/* Which bus a person means, and the road of what they ask: the socket's thread -> inbox -> here -> the bus -> inbox -> here -> the
 * socket. It goes past the engine: a guest's values are nobody's readings. */
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "gateway/bridge.h"

static bool same_port(const char *path, const struct stat *other) {
    struct stat about;
    return stat(path, &about) == 0 && S_ISCHR(about.st_mode) && S_ISCHR(other->st_mode) && about.st_rdev == other->st_rdev;
}

/* By its name, or by the port under whatever name. */
static const struct bus_spec *find_bus(const struct config *config, const char *word) {
    struct stat about;
    for (unsigned i = 0; i < config->buses_count; i++)
        if (strcmp(config->buses[i].name, word) == 0)
            return &config->buses[i];
    if (word[0] != '/' || stat(word, &about) != 0)
        return NULL;
    for (unsigned i = 0; i < config->buses_count; i++)
        if (config->buses[i].kind == BUS_SERIAL && same_port(config->buses[i].serial, &about))
            return &config->buses[i];
    return NULL;
}

static void describe(const struct bus_spec *spec, char line[SOCKET_LINE_SIZE]) {
    static const char *const parities[] = {[PARITY_NONE] = " none ", [PARITY_EVEN] = " even ", [PARITY_ODD] = " odd "};
    struct text text;
    text_init(&text, line, SOCKET_LINE_SIZE);
    text_add(&text, "bus ");
    text_add(&text, spec->name);
    text_add_char(&text, ' ');
    text_add_u64(&text, spec->kind == BUS_SERIAL ? spec->baud : 0);
    text_add(&text, parities[spec->parity]);
    text_add_u64(&text, spec->stop_bits);
}

void bridge_guest_asked(struct bridge *bridge, const struct socket_request *request, const struct guest_sink *sink) {
    const struct bus_spec *spec = find_bus(bridge->config, request->bus);
    const struct bridge_bus *bus = spec ? &bridge->buses[spec->bus] : NULL;
    char line[SOCKET_LINE_SIZE] = "";
    enum err err = ERR_DISCONNECTED;
    if (!spec)
        (void)text_copy(line, sizeof(line), "error no bus of this gateway has this name or port");
    else if (request->asks == SOCKET_ASKS_BUS)
        describe(spec, line);
    else if (bus->rtu)
        err = bus_rtu_guest(bus->rtu, &request->guest, sink);
    else if (bus->tcp)
        err = bus_tcp_guest(bus->tcp, &request->guest, sink);
    if (line[0] == '\0' && err != ERR_OK)
        (void)text_copy(line, sizeof(line), err == ERR_FULL ? "error the bus is busy with another request" : "error nothing polls this bus");
    if (line[0] != '\0')
        socket_answer(bridge->socket, request->guest.id, line);
}

void bridge_guest_answered(struct bridge *bridge, const struct guest_answer *answer) {
    char line[SOCKET_LINE_SIZE];
    socket_line_answer(answer, line);
    socket_answer(bridge->socket, answer->id, line);
}
