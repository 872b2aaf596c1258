/* SPDX-License-Identifier: Apache-2.0 */
/* The simple sections: gateway, places, buses, commands, uplinks, store. */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/text.h"
#include "config/loader.h"
#include "config/scalar.h"

#define MQTT_PORT 1883
#define MQTTS_PORT 8883
#define MODBUS_PORT 502
#define ALL_DAYS 0x7F

const char *loader_keep(struct arena *arena, const char *text) {
    return *text ? arena_text(arena, text, strlen(text)) : "";
}

static const char *keep(const struct loader *loader, const char *text) {
    return loader_keep(loader->arena, text);
}

/* NULL when it is not written. */
static const char *keep_or_null(const struct loader *loader, const struct schema_shape *shape, const struct node *map, const char *name) {
    const struct node *node = schema_member(shape, map, name);
    return node ? keep(loader, node->text) : NULL;
}

const struct node *loader_section(const struct loader *loader, const char *name, uint32_t most, uint16_t *ret_count) {
    const struct node *map = schema_member(&schema_site, loader->site.root, name);
    *ret_count = 0;
    if (!map)
        return NULL;
    *ret_count = (uint16_t)(map->count < most ? map->count : most);
    return map->first;
}

void load_gateway(struct loader *loader) {
    struct config *config = loader->config;
    const struct node *map = schema_member(&schema_site, loader->site.root, "gateway");
    const struct node *zone = schema_member(&schema_gateway, map, "timezone");
    config->gateway_id = keep(loader, schema_text(&schema_gateway, map, "id"));
    config->timezone = keep(loader, schema_text(&schema_gateway, map, "timezone"));
    config->clock_by_host = schema_u64(&schema_gateway, map, "clock") == 1;
    if (loader->copy)
        config->utc_offset_minutes = loader->copy_utc_offset_minutes;
    else if (!timezone_offset(config->timezone, &config->utc_offset_minutes))
        source_error(&loader->site, zone, "there is no time zone '%s' on this machine; names look like Asia/Shanghai (package tzdata)",
                     QUOTE(config->timezone));
}

/* Without `hours` a place is always open; with `closed` alone it is open all day on the others. */
static void read_hours(const struct loader *loader, const struct node *map, struct config_place *place) {
    static const char days[] = "mon|tue|wed|thu|fri|sat|sun";
    const struct node *hours = schema_member(&schema_place, map, "hours"), *closed = schema_member(&schema_hours, hours, "closed");
    place->has_hours = hours && hours->count > 0;
    CHECK(scalar_hours(schema_text(&schema_hours, hours, "open"), &place->opens_min, &place->closes_min));
    unsigned day;
    for (const struct node *node = closed ? closed->first : NULL; node; node = node->next)
        if (scalar_word(node->text, strlen(node->text), days, &day))
            place->closed_days |= (uint8_t)(1u << day);
    if (place->closed_days == ALL_DAYS)
        source_error(&loader->site, node_place(closed), "'closed' names all seven days: the place '%s' would never be open", place->key);
}

void load_places(struct loader *loader) {
    uint16_t count;
    const struct node *node = loader_section(loader, "places", PLACES_MAX, &count);
    loader->places = arena_take(loader->arena, count + 1u, sizeof(*loader->places));
    names_init(&loader->places_names, count, &loader->scratch);
    for (uint16_t i = 0; i < count; i++, node = node->next) {
        struct config_place *place = &loader->places[i];
        place->key = keep(loader, node->key->text);
        place->name = keep(loader, schema_text(&schema_place, node, "name"));
        place->address = keep(loader, schema_text(&schema_place, node, "address"));
        place->responsible = keep(loader, schema_text(&schema_place, node, "responsible"));
        place->phone = keep(loader, schema_text(&schema_place, node, "phone"));
        place->kind = (enum place_kind)schema_u64(&schema_place, node, "kind");
        place->stoves = (uint16_t)schema_u64(&schema_place, node, "stoves");
        read_hours(loader, node, place);
        if (!*place->name)
            place->name = place->key;
        names_add(&loader->places_names, place->key, i);
    }
    loader->config->places = loader->places;
    loader->config->places_count = count;
}

static void refuse_keys(const struct loader *loader, const struct node *map, const char *const *keys, size_t count, const char *why) {
    for (size_t i = 0; i < count; i++)
        if (node_get(map, keys[i]))
            source_error(&loader->site, node_get(map, keys[i])->key, "'%s' %s", keys[i], why);
}

/* Exactly one of serial, tcp, rtu_over_tcp says what the bus is. */
static const struct node *bus_kind(const struct loader *loader, const struct node *map, enum bus_kind *ret_kind) {
    static const char *const words[] = {"serial", "tcp", "rtu_over_tcp"};
    const struct node *written = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        const struct node *node = node_get(map, words[i]);
        if (node && written) {
            source_error(&loader->site, node_place(node), "'%s' and '%s' cannot stand together: a bus is one of them", written->key->text, words[i]);
        } else if (node) {
            written = node;
            *ret_kind = (enum bus_kind)i;
        }
    }
    if (!written && map->kind == NODE_MAP)
        source_error(&loader->site, node_place(map), "the bus '%s' needs one of serial, tcp, rtu_over_tcp", QUOTE(map->key->text));
    return written ? schema_member(&schema_bus, map, words[*ret_kind]) : NULL;
}

static void read_bus(struct loader *loader, const struct node *map, uint16_t index) {
    static const char *const line_keys[] = {"baud", "parity", "stop_bits"}, *const tcp_keys[] = {"connect_timeout"};
    struct bus_spec *bus = &loader->buses[index];
    bus->name = keep(loader, map->key->text);
    bus->bus = index;
    bus->baud = (uint32_t)schema_u64(&schema_bus, map, "baud");
    bus->parity = (enum bus_parity)schema_u64(&schema_bus, map, "parity");
    bus->stop_bits = (uint8_t)schema_u64(&schema_bus, map, "stop_bits");
    bus->connect_timeout_ms = (uint32_t)schema_u64(&schema_bus, map, "connect_timeout");
    bus->serial = bus->host = "";
    const struct node *where = bus_kind(loader, map, &bus->kind);
    if (!where)
        return;
    if (bus->kind == BUS_SERIAL) {
        bus->serial = keep(loader, where->text);
        refuse_keys(loader, map, tcp_keys, ARRAY_COUNT(tcp_keys), "is for a TCP endpoint; a serial port has no connection");
        return;
    }
    char host[HOST_SIZE];
    CHECK(scalar_host(where->text, MODBUS_PORT, host, sizeof(host), &bus->port));
    bus->host = keep(loader, host);
    if (bus->kind == BUS_TCP) {
        refuse_keys(loader, map, line_keys, ARRAY_COUNT(line_keys), "is for a serial port; set it in the converter behind the TCP endpoint");
    } else if (!node_get(map, "baud")) { /* characters take a time that is not known */
        refuse_keys(loader, map, line_keys, ARRAY_COUNT(line_keys), "says nothing without 'baud', the speed of the line behind the converter");
        bus->baud = 0;
    }
}

void load_buses(struct loader *loader) {
    uint16_t count;
    const struct node *node = loader_section(loader, "buses", BUSES_MAX, &count);
    loader->buses = arena_take(loader->arena, count + 1u, sizeof(*loader->buses));
    names_init(&loader->buses_names, count, &loader->scratch);
    for (uint16_t i = 0; i < count; i++, node = node->next) {
        read_bus(loader, node, i);
        names_add(&loader->buses_names, loader->buses[i].name, i);
    }
    loader->config->buses = loader->buses;
    loader->config->buses_count = count;
}

static void read_password(struct loader *loader, const struct node *map, struct config_mqtt *mqtt) {
    const struct node *password = node_get(map, "password"), *credential = node_get(password, "credential");
    if (!password)
        return;
    if (credential && credential->kind == NODE_SCALAR) {
        mqtt->password_credential = keep(loader, credential->text);
    } else if (schema_member(&schema_uplink, map, "password")) {
        mqtt->password_plain = keep(loader, password->text);
        source_warning(
            &loader->site, password,
            "the password stands here in plain text and everybody who reads this file has it: write 'password: {credential: NAME}' and give "
            "it to the service with LoadCredential=NAME:/path");
    }
    if (!node_get(map, "username"))
        source_error(&loader->site, password->key, "'password' stands without 'username': brokers want both");
}

static void read_tls(struct loader *loader, const struct node *map, struct config_mqtt *mqtt) {
    static const char *const tls_keys[] = {"ca_file", "certificate_file", "key_file"};
    mqtt->ca_file = keep_or_null(loader, &schema_uplink, map, "ca_file");
    mqtt->certificate_file = keep_or_null(loader, &schema_uplink, map, "certificate_file");
    mqtt->key_file = keep_or_null(loader, &schema_uplink, map, "key_file");
    const struct node *certificate = node_get(map, "certificate_file"), *key = node_get(map, "key_file");
    bool tls = false;
    for (unsigned i = 0; i < mqtt->brokers_count; i++)
        tls |= mqtt->brokers[i].tls;
    if (!tls && schema_member(&schema_uplink, map, "mqtt"))
        refuse_keys(loader, map, tls_keys, ARRAY_COUNT(tls_keys), "has no effect on an open connection: write mqtts:// for TLS");
    if (!certificate != !key)
        source_error(&loader->site, (certificate ? certificate : key)->key, "'certificate_file' and 'key_file' belong together; one is missing");
}

static void read_readings(const struct node *uplink, struct config_readings *readings) {
    const struct node *map = node_get(uplink, "readings");
    readings->wanted = !map || map->kind != NODE_SCALAR || strcmp(map->text, "false") != 0;
    readings->batch_ms = (uint32_t)schema_u64(&schema_readings, map, "batch");
    readings->on_change = schema_u64(&schema_readings, map, "on_change") != 0;
    readings->at_least_every_ms = (uint32_t)schema_u64(&schema_readings, map, "at_least_every");
}

static const char *join(const struct loader *loader, const char *first, const char *between, const char *second) {
    char bytes[TOPIC_SIZE];
    snprintf(bytes, sizeof(bytes), "%s%s%s", first, between, second);
    return keep(loader, bytes);
}

static void read_broker(const struct loader *loader, const struct node *url, struct config_broker *broker) {
    unsigned scheme;
    const char *rest;
    char host[HOST_SIZE];
    CHECK(scalar_scheme(url->text, "mqtt|mqtts", &scheme, &rest));
    broker->tls = scheme == 1;
    CHECK(scalar_host(rest, broker->tls ? MQTTS_PORT : MQTT_PORT, host, sizeof(host), &broker->port));
    broker->host = keep(loader, host);
}

static bool same_broker(const struct config_broker *one, const struct config_broker *other) {
    return *one->host && one->port == other->port && strcmp(one->host, other->host) == 0;
}

/* One, or a list in which the next is used while one fails. */
static void read_brokers(const struct loader *loader, const struct node *written, struct config_mqtt *mqtt) {
    mqtt->brokers_count = 1;
    mqtt->brokers[0].host = "";
    if (!written)
        return;
    if (written->kind == NODE_SCALAR) {
        read_broker(loader, written, &mqtt->brokers[0]);
        return;
    }
    mqtt->brokers_count = 0;
    for (const struct node *url = written->first; url; url = url->next) {
        struct config_broker *broker = &mqtt->brokers[mqtt->brokers_count];
        read_broker(loader, url, broker);
        for (unsigned i = 0; i < mqtt->brokers_count; i++)
            if (same_broker(&mqtt->brokers[i], broker))
                source_error(&loader->site, url, "the broker '%s' stands twice in the list; the next is tried when one fails, so each must be another",
                             QUOTE(url->text));
        if (mqtt->brokers_count && broker->tls != mqtt->brokers[0].tls)
            source_warning(&loader->site, url,
                           "this list mixes mqtt:// and mqtts://: who keeps the gateway from the encrypted broker gets everything in the open, the "
                           "password too; write mqtts:// for all");
        mqtt->brokers_count++;
    }
}

static void read_keep(const struct node *uplink, struct config_keep *keep) {
    const struct node *map = schema_member(&schema_uplink, uplink, "keep");
    keep->events_ms = schema_u64(&schema_keep, map, "events");
    keep->events_bytes = schema_u64(&schema_keep, map, "events_size");
    keep->readings_ms = schema_u64(&schema_keep, map, "readings");
    keep->readings_bytes = schema_u64(&schema_keep, map, "readings_size");
}

static void read_uplink(struct loader *loader, const struct node *map, struct config_uplink *uplink) {
    struct config_mqtt *mqtt = &uplink->mqtt;
    uplink->name = keep(loader, map->key->text);
    uplink->kind = UPLINK_MQTT;
    read_brokers(loader, schema_member(&schema_uplink, map, "mqtt"), mqtt);
    mqtt->username = keep(loader, schema_text(&schema_uplink, map, "username"));
    read_password(loader, map, mqtt);
    read_tls(loader, map, mqtt);
    mqtt->client_id = keep_or_null(loader, &schema_uplink, map, "client_id");
    if (!mqtt->client_id)
        mqtt->client_id = join(loader, loader->config->gateway_id, "-", uplink->name);
    mqtt->keepalive_s = (uint16_t)(schema_u64(&schema_uplink, map, "keepalive") / 1000);
    mqtt->window = (uint16_t)schema_u64(&schema_uplink, map, "window");
    mqtt->backlog_rate = (uint16_t)schema_u64(&schema_uplink, map, "backlog_rate");
    mqtt->topic_prefix = join(loader, "yanhuo/v1/", loader->config->gateway_id, "");
    read_readings(map, &uplink->readings);
    read_keep(map, &uplink->keep);
    uplink->commands = schema_u64(&schema_uplink, map, "commands") != 0;
}

void load_commands(struct loader *loader) {
    struct config_commands *commands = &loader->config->commands;
    const struct node *map = schema_member(&schema_site, loader->site.root, "commands"), *hmac = node_get(map, "hmac");
    const struct node *credential = node_get(hmac, "credential");
    if (credential && credential->kind == NODE_SCALAR) {
        commands->hmac_credential = keep(loader, credential->text);
    } else if (schema_member(&schema_commands, map, "hmac")) {
        commands->hmac_plain = keep(loader, hmac->text);
        source_warning(&loader->site, hmac,
                       "the key of commands stands here in plain text and everybody who reads this file can switch things: write "
                       "'hmac: {credential: NAME}' and give it to the service with LoadCredential=NAME:/path");
    }
}

static bool share_broker(const struct config_mqtt *one, const struct config_mqtt *other) {
    for (unsigned i = 0; i < one->brokers_count; i++)
        for (unsigned k = 0; k < other->brokers_count; k++)
            if (same_broker(&one->brokers[i], &other->brokers[k]))
                return true;
    return false;
}

/* Two clients of one name throw each other out for ever. */
static void refuse_same_client(const struct loader *loader, const struct node *node, uint16_t index) {
    const struct config_mqtt *mine = &loader->uplinks[index].mqtt;
    for (uint16_t i = 0; i < index; i++) {
        const struct config_mqtt *other = &loader->uplinks[i].mqtt;
        if (share_broker(mine, other) && strcmp(mine->client_id, other->client_id) == 0)
            source_error(&loader->site, node->key,
                         "the uplinks '%s' and '%s' log in at the same broker with the same client_id '%s'; each needs its own",
                         loader->uplinks[i].name, loader->uplinks[index].name, QUOTE(mine->client_id));
    }
}

void load_uplinks(struct loader *loader) {
    uint16_t count;
    const struct node *node = loader_section(loader, "uplinks", UPLINKS_MAX, &count);
    loader->uplinks = arena_take(loader->arena, count + 1u, sizeof(*loader->uplinks));
    for (uint16_t i = 0; i < count; i++, node = node->next) {
        read_uplink(loader, node, &loader->uplinks[i]);
        refuse_same_client(loader, node, i);
    }
    loader->config->uplinks = loader->uplinks;
    loader->config->uplinks_count = count;
}

void load_store(struct loader *loader) {
    struct config_store *store = &loader->config->store;
    const struct node *map = schema_member(&schema_site, loader->site.root, "store"), *web = node_get(loader->site.root, "web");
    store->spool_bytes_max = schema_u64(&schema_store, map, "spool");
    store->readings_commit_ms = (uint32_t)schema_u64(&schema_store, map, "readings_commit");
    store->history_days = (uint32_t)schema_u64(&schema_store, map, "history_days");
    store->history_bytes_max = schema_u64(&schema_store, map, "history");
    store->rollup_days = (uint32_t)schema_u64(&schema_store, map, "rollup_days");
    store->event_days = (uint32_t)schema_u64(&schema_store, map, "event_days");
    store->record_days = (uint32_t)schema_u64(&schema_store, map, "record_days");
    store->events_bytes_max = schema_u64(&schema_store, map, "events");
    const struct node *card = schema_member(&schema_store, map, "card");
    store->card_bytes = card ? schema_u64(&schema_card, card, "size") : 0;
    store->card_cycles = card ? (uint32_t)schema_u64(&schema_card, card, "cycles") : 0;
    if (web)
        source_warning(&loader->site, web->key, "'web' has no effect yet: the page comes with a later version");
}
