/* SPDX-License-Identifier: Apache-2.0 */
/* What scan, probe, assign and sniff share: a port as a person writes it, opening it or saying who has it, profiles tried on a
 * device, and the lines to paste into a configuration. One thread. */
#ifndef YANHUO_FIELD_H
#define YANHUO_FIELD_H

#include "base/text.h"
#include "gateway/commission/fit.h"
#include "gateway/commission/sweep.h"
#include "sensors/bus_client.h"

#define FIELD_TEXT_SIZE 512
#define FIELD_SETTING_SIZE 24
#define FIELD_BAUDS_MAX 16
#define FIELD_PROFILES_MAX 256
#define FIELD_CACHE_MAX 64

struct field_port {
    struct bus_spec spec; /* 9600 8N1 until changed */
    const char *command;  /* "scan", for messages */
    char host[256];
    const char *state_dir; /* of the gateway that may have the port */
    bool shared;           /* the gateway asks for us */
};

#define FIELD_STATE_DIR "/var/lib/yanhuo"

/* "/dev/ttyUSB0", "tcp:HOST[:PORT]", "rtu_over_tcp:HOST:PORT". False: said on stderr. */
bool field_port_read(struct field_port *port, const char *command, const char *text);
void field_port_set(struct field_port *port, const struct sweep_setting *setting);

/* Opens the port; what went wrong, who has it and what to do is said on stderr. */
struct bus_client *field_open(const struct field_port *port);
/* The same; but when the gateway has the port, it is asked to ask (io/socket.h), in its spare time: then `shared` is set, the
 * port's settings are the line's, and only reads can be made. */
struct bus_client *field_open_shared(struct field_port *port);
/* NULL: that gateway has no such port, or cannot be reached. Says nothing. */
struct bus_client *field_guest_open(struct field_port *port);
/* Who has the port open: "yanhuo (process 812)"; false when nobody can be seen. */
bool field_owner(const char *path, char *ret_name, size_t size, bool *ret_gateway);

/* "9600,4800" and "none,even" or "8N1,8E1". False: said on stderr. */
bool field_bauds_read(const char *command, const char *text, uint32_t bauds[FIELD_BAUDS_MAX], unsigned *ret_count);
bool field_parities_read(const char *command, const char *text, enum bus_parity parities[3], unsigned *ret_count);
/* "1-247" or "7". False: said on stderr. */
bool field_units_read(const char *command, const char *text, uint64_t *ret_first, uint64_t *ret_last);
/* What to try: every pair of the speeds and parities named, those of field_usual when none are. 0: said on stderr. */
unsigned field_settings_make(const char *command, bool serial, const char *bauds_text, const char *parities_text,
                             struct sweep_setting settings[SWEEP_SETTINGS_MAX]);
/* A whole number within limits; `what` names it in the message. */
bool field_number_read(const char *command, const char *what, const char *text, uint64_t least, uint64_t most, uint64_t *ret_number);

/* What devices are set to, the most common first. */
#define FIELD_USUAL_COUNT 8
extern const struct sweep_setting field_usual[FIELD_USUAL_COUNT];

/* "9600 8N1", "network" */
const char *field_setting_text(char buffer[FIELD_SETTING_SIZE], const struct sweep_setting *setting);

/* Ctrl-C sets the flag; a second one ends the program. */
void field_catch_interrupt(void);
bool field_interrupted(void);

/* One read, and its payload; false: no good answer, *ret_answer says why. */
bool field_read(struct bus_client *client, uint8_t unit_id, enum frame_function function, uint16_t address, uint16_t count, int64_t timeout_us,
                struct bus_answer *ret_answer, const uint8_t **ret_data);
/* "no answer", "exception 2: illegal data address", ... */
void field_add_failure(const struct bus_answer *answer, struct text *text);

/* Do several devices answer here? Asks a few times and listens on after each answer. */
bool field_is_several(struct bus_client *client, uint8_t unit_id, int64_t timeout_us);

/* Reads of one device, each made once however many profiles want it. */
struct field_cache {
    struct bus_client *client;
    uint8_t unit_id;
    int64_t timeout_us;
    unsigned count;
    struct {
        enum frame_function function;
        uint16_t address, registers;
        struct bus_answer answer;
    } reads[FIELD_CACHE_MAX];
};

struct field_profiles {
    struct arena arena;
    unsigned count;
    const struct profile *items[FIELD_PROFILES_MAX];
};

/* One profile by name, from the folder (NULL: the installed one), or NULL after saying on stderr what is wrong. */
const struct profile *field_profile_load(const char *command, const char *folder, const char *name, struct arena *arena);

/* Every profile of a folder; those with errors are left out (`yanhuo check` is where they are told). */
void field_profiles_load(struct field_profiles *profiles, const char *folder);
void field_profiles_done(struct field_profiles *profiles);

/* Tries one profile on the device of the cache. */
void field_fit(struct field_cache *cache, const struct profile *profile, struct arena *arena, struct fit *ret_fit);

/* The YAML of a bus and of a device on it. */
void field_print_bus(const struct field_port *port, const char *bus);
void field_print_device(const struct profile *profile, const char *bus, uint8_t unit_id);

#endif
