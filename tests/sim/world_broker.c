/* SPDX-License-Identifier: Apache-2.0 */
/* The model of a broker and of the MQTT pipe to it, by the pipe's contract: every SEND gets exactly one ACKED, every CONNECT
 * one LINK_UP or LINK_DOWN, every DISCONNECT one LINK_DOWN; after LINK_DOWN only the ACK_LOST of that connection come. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tests/sim/world_state.h"

#define CLOSE_US 1000
#define REFUSED_CODE 0x87 /* not authorized */

uint16_t world_uplink(const struct world *world, const char *name) {
    for (uint16_t i = 0; i < world->config->uplinks_count; i++)
        if (strcmp(world->config->uplinks[i].name, name) == 0)
            return i;
    world_fail(world, "the plant has no uplink %s", name);
}

static struct model_broker *broker_of(struct world *world, const char *uplink) {
    return &world->brokers[world_uplink(world, uplink)];
}

/* ---- the connection ends ---- */

/* Nothing of it comes any more but that it is down. */
static void break_link(struct world *world, uint16_t u, int64_t noticed_us, enum link_reason reason) {
    struct model_broker *broker = &world->brokers[u];
    broker->linked = false;
    broker->connection++;
    struct coming *coming = world_arrange(world, noticed_us, COMING_DOWN, u, NULL);
    coming->connection = broker->connection;
    coming->slot = (uint16_t)reason;
}

void world_broker_cut(struct world *world, const char *uplink) {
    struct model_broker *broker = broker_of(world, uplink);
    if (!broker->linked)
        return;
    log_line(world, world->now_us, "world: link to %s is cut", uplink);
    break_link(world, world_uplink(world, uplink), 2 * MS, LINK_LOST);
}

void world_broker_down(struct world *world, const char *uplink, enum link_reason reason) {
    struct model_broker *broker = broker_of(world, uplink);
    world_broker_cut(world, uplink);
    broker->reachable = false;
    broker->refuse = reason;
    log_line(world, world->now_us, "world: broker of %s is down: %s", uplink, link_reason_name(reason));
}

void world_broker_up(struct world *world, const char *uplink) {
    broker_of(world, uplink)->reachable = true;
    log_line(world, world->now_us, "world: broker of %s is up", uplink);
}

void world_broker_delay(struct world *world, const char *uplink, int64_t receive_ms, int64_t ack_ms) {
    broker_of(world, uplink)->receive_us = receive_ms * MS;
    broker_of(world, uplink)->ack_us = ack_ms * MS;
}

void world_broker_refuse(struct world *world, const char *uplink, const char *topic) {
    broker_of(world, uplink)->refuse_topic = topic;
}

static void on_down(struct world *world, uint16_t u, enum link_reason reason) {
    struct model_broker *broker = &world->brokers[u];
    broker->noticed = false;
    broker->in_flight = 0;
    world_event(world, &(struct event){.kind = EVENT_LINK_DOWN, .link_down = {.uplink = u, .reason = reason, .text = ""}});
    for (uint16_t i = 0; i < WINDOW_MAX; i++) {
        if (!broker->slots[i].busy)
            continue;
        broker->slots[i].busy = false;
        world_event(world, &(struct event){.kind = EVENT_ACKED, .acked = {.uplink = u, .slot = i, .result = ACK_LOST}});
    }
}

void broker_crash(struct world *world) {
    for (unsigned u = 0; u < world->config->uplinks_count; u++) {
        struct model_broker *broker = &world->brokers[u];
        broker->linked = broker->noticed = broker->connecting = false;
        broker->connection++;
        broker->in_flight = 0;
        memset(broker->slots, 0, sizeof(broker->slots));
    }
}

/* ---- connecting ---- */

static void on_link(struct world *world, uint16_t u) {
    struct model_broker *broker = &world->brokers[u];
    broker->connecting = false;
    if (!broker->reachable) {
        world_event(world, &(struct event){.kind = EVENT_LINK_DOWN, .link_down = {.uplink = u, .reason = broker->refuse, .text = ""}});
        return;
    }
    uint16_t window = world->config->uplinks[u].mqtt.window;
    broker->linked = broker->noticed = true;
    broker->received_us = 0;
    broker->window = window < broker->receive_max ? window : broker->receive_max;
    world_event(world, &(struct event){.kind = EVENT_LINK_UP, .link_up = {.uplink = u, .receive_max = broker->receive_max, .version = 5}});
}

/* ---- sending ---- */

static bool is_number(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* gateway-start-seq */
static void read_id(const struct world *world, struct message *message) {
    char id[160], hex[20] = "0x";
    if (strstr(message->topic, "/reading/") == NULL && strstr(message->topic, "/event") == NULL)
        return;
    json_text(message->payload, "id", id, sizeof(id));
    size_t gateway = strlen(world->config->gateway_id);
    if (strncmp(id, world->config->gateway_id, gateway) != 0 || id[gateway] != '-' || strlen(id) < gateway + 19)
        world_fail(world, "%s carries the id '%s'", message->topic, id);
    for (unsigned i = 0; i < 16; i++)
        if (!is_number(hex[2 + i] = id[gateway + 1 + i]))
            world_fail(world, "%s carries the id '%s'", message->topic, id);
    if (!text_read_u64(hex, &message->start) || !text_read_u64(id + gateway + 18, &message->seq))
        world_fail(world, "%s carries the id '%s'", message->topic, id);
    message->replayed = strstr(message->payload, "\"replayed\":true") != NULL;
}

static void on_send(struct world *world, const struct effect *effect) {
    uint16_t u = effect->send.uplink;
    struct model_broker *broker = &world->brokers[u];
    struct model_slot *slot = &broker->slots[effect->send.slot];
    if (!broker->noticed || effect->send.slot >= WINDOW_MAX || slot->busy || ++broker->in_flight > broker->window)
        world_fail(world, "uplink %s sends out of its window: slot %u, %u of %u in flight%s", world->config->uplinks[u].name, effect->send.slot,
                   broker->in_flight, broker->window, broker->noticed ? "" : ", not connected");
    if (effect->send.size != strlen(effect->send.payload))
        world_fail(world, "%s: a payload's size is not its length", effect->send.topic);
    world->messages = world_grow(world->messages, world->messages_count, &world->messages_room, sizeof(*world->messages));
    slot->busy = true;
    slot->message = world->messages_count;
    struct message *message = &world->messages[world->messages_count++];
    *message = (struct message){.received_us = NOW_NEVER,
                                .uplink = u,
                                .qos = effect->send.qos,
                                .retain = effect->send.retain,
                                .topic = strdup(effect->send.topic),
                                .payload = strdup(effect->send.payload)};
    CHECK(message->topic && message->payload);
    read_id(world, message);
    if (!broker->linked)
        return; /* the break is not noticed yet */
    int64_t jitter_us = broker->jitter_us ? (int64_t)prng_below(&world->prng, (uint64_t)broker->jitter_us) : 0;
    int64_t in_us = broker->receive_us;
    if (world->now_us + in_us < broker->received_us)
        in_us = broker->received_us - world->now_us;
    broker->received_us = world->now_us + in_us;
    struct coming *coming = world_arrange(world, in_us, COMING_RECEIVED, u, NULL);
    coming->connection = broker->connection;
    coming->slot = effect->send.slot;
    coming = world_arrange(world, in_us + broker->ack_us + jitter_us, COMING_ACKED, u, NULL);
    coming->connection = broker->connection;
    coming->slot = effect->send.slot;
}

static bool refused(const struct model_broker *broker, const struct message *message) {
    return broker->refuse_topic && strstr(message->topic, broker->refuse_topic);
}

static void on_received(struct world *world, const struct coming *coming) {
    struct model_broker *broker = &world->brokers[coming->index];
    struct message *message = &world->messages[broker->slots[coming->slot].message];
    if (refused(broker, message))
        return;
    message->received_us = world->now_us;
    log_message(world, message);
    if (message->seq)
        ledger_received(world, message);
    if (world->forgets && strstr(message->topic, "/reading/")) {
        free(message->payload);
        message->payload = strdup("");
        CHECK(message->payload);
    }
}

static void on_acked(struct world *world, const struct coming *coming) {
    struct model_broker *broker = &world->brokers[coming->index];
    struct model_slot *slot = &broker->slots[coming->slot];
    struct message *message = &world->messages[slot->message];
    enum ack_result result = refused(broker, message) ? ACK_REFUSED : ACK_OK;
    slot->busy = false;
    broker->in_flight--;
    message->answered = true;
    if (message->seq)
        ledger_acked(world, message, result);
    world_event(world, &(struct event){
                           .kind = EVENT_ACKED,
                           .acked = {.uplink = coming->index, .slot = coming->slot, .result = result, .code = result == ACK_OK ? 0 : REFUSED_CODE}});
}

void broker_effect(struct world *world, const struct effect *effect) {
    if (effect->kind == EFFECT_SEND) {
        on_send(world, effect);
        return;
    }
    uint16_t u = effect->link.uplink;
    struct model_broker *broker = &world->brokers[u];
    if (effect->kind == EFFECT_DISCONNECT) {
        if (broker->connecting) { /* given up: its one LINK_DOWN is the answer to both */
            broker->connecting = false;
            break_link(world, u, CLOSE_US, LINK_CLOSED);
        } else if (broker->linked) {
            break_link(world, u, CLOSE_US, LINK_CLOSED);
        }
        return;
    }
    if (broker->connecting || broker->noticed)
        world_fail(world, "uplink %s connects twice", world->config->uplinks[u].name);
    broker->connecting = true;
    world_arrange(world, broker->connect_us, COMING_LINK, u, NULL)->connection = broker->connection;
}

void broker_coming(struct world *world, struct coming *coming) {
    if (coming->connection != world->brokers[coming->index].connection)
        return;
    if (coming->kind == COMING_LINK)
        on_link(world, coming->index);
    else if (coming->kind == COMING_RECEIVED)
        on_received(world, coming);
    else if (coming->kind == COMING_ACKED)
        on_acked(world, coming);
    else
        on_down(world, coming->index, (enum link_reason)coming->slot);
}

/* ---- looking ---- */

unsigned world_received(const struct world *world, const char *uplink, const char *topic, const char *payload) {
    unsigned count = 0;
    for (uint32_t i = 0; i < world->messages_count; i++) {
        const struct message *message = &world->messages[i];
        count += message->received_us != NOW_NEVER && message->uplink == world_uplink(world, uplink) && strstr(message->topic, topic) &&
                 (!payload || strstr(message->payload, payload));
    }
    return count;
}

const char *world_retained(const struct world *world, const char *uplink, const char *topic) {
    uint16_t u = world_uplink(world, uplink);
    const char *newest = "";
    char whole[TOPIC_SIZE];
    snprintf(whole, sizeof(whole), "%s/%s", world->config->uplinks[u].mqtt.topic_prefix, topic);
    for (uint32_t i = 0; i < world->messages_count; i++)
        if (world->messages[i].received_us != NOW_NEVER && world->messages[i].retain && world->messages[i].uplink == u &&
            strcmp(world->messages[i].topic, whole) == 0)
            newest = world->messages[i].payload;
    return newest;
}
