/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one uplink's connection, all on the pump thread.
 *
 *   IDLE --connect--> RESOLVING --> CONNECTING --> UP --disconnect--> DRAINING --> LEAVING --> IDLE
 *                         |          |  ^  |        |
 *                         |    (5 to 3.1.1) |       +-- lost or stalled --> IDLE
 *                         +---- fails --> PROBING --> IDLE
 *
 * Every road back to IDLE is link_end: it tells link_down, then LOST for each message without an answer, and drops the
 * library's handle when that may still hold one of them. RESOLVING and PROBING are done by mqtt_probe.c, so that neither a
 * hung name service nor a failure without a reason holds up the library, whose one lock all uplinks share. Every state but
 * IDLE has a deadline; that of UP is the stall guard, which runs while messages are in flight.
 *
 * MQTT 5 comes first. A broker that says it does not speak it is remembered; one that just hangs up, as brokers older than
 * MQTT 5 may, is tried with 3.1.1 too, but asked for 5 again the next time, because it may only have been restarting.
 * The failure of a second attempt is the one that is told. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "gateway/io/credential.h"
#include "gateway/io/mqtt_link.h"

#define RESOLVE_LIMIT_US 15000000
#define CONNECT_LIMIT_US 25000000 /* the library's own 10 s, its 3 s tick and room; after it the handle is given up */
#define PROBE_LIMIT_US 10000000
/* The library's send thread may miss a wake-up and sleep a whole second; both limits are just above that. */
#define DRAIN_LIMIT_US 1300000
#define LEAVE_LIMIT_US 1100000
#define STALL_KEEPALIVES 3
#define REASON_TAKEN_OVER 0x8E /* MQTT 5, 3.14.2.1: session taken over */

static void link_enter(struct link *link, enum link_state state, int64_t limit_us) {
    link->state = state;
    link->deadline_us = limit_us == NOW_NEVER ? NOW_NEVER : now_mono_us() + limit_us;
    mqtt_gate_look(link->mqtt);
    if (!link->broker->tls)
        return;
    enum mqtt_trace trace = TRACE_OFF;
    for (uint16_t i = 0; i < link->mqtt->links_count; i++) {
        const struct link *other = &link->mqtt->links[i];
        if (other->state == STATE_CONNECTING && other->broker->tls && trace != TRACE_ADDRESSES)
            trace = other->broker->numeric ? TRACE_ADDRESSES : TRACE_NAMES;
    }
    mqtt_trace_host_check(trace);
}

/* Under lock. */
static void tell_down(struct link *link, enum link_reason reason, int code, const char *text) {
    struct mqtt *mqtt = link->mqtt;
    struct mqtt_link_down down = {.uplink = link->index, .reason = reason, .code = code};
    mqtt_say(down.text, sizeof down.text, "%s", text);
    if (!mqtt->muted)
        mqtt->sink.link_down(mqtt->sink.context, &down);
}

/* Under lock. */
static void tell_acked(struct link *link, uint16_t slot, enum ack_result result, int code) {
    struct mqtt *mqtt = link->mqtt;
    struct mqtt_acked acked = {.uplink = link->index, .slot = slot, .result = result, .code = code, .at_us = now_mono_us()};
    if (!mqtt->muted)
        mqtt->sink.acked(mqtt->sink.context, &acked);
}

static void link_end(struct link *link, enum link_reason reason, int code, const char *text, bool drop) {
    link->ready = false;
    link->ending = true;
    mqtt_gate_look(link->mqtt); /* from here on the table of flights is the pump's */
    pthread_mutex_lock(&link->mqtt->lock);
    tell_down(link, reason, code, text);
    link->live = link->draining = false;
    link->epoch++;
    link->in_flight = 0;
    for (unsigned slot = 0; slot < WINDOW_MAX; slot++) {
        struct flight *flight = &link->flights[link->bank][slot];
        if (flight->state == FLIGHT_FREE)
            continue;
        drop |= flight->state == FLIGHT_WAITING; /* the library may still hold it, and must not send it later */
        flight->state = FLIGHT_FREE;
        tell_acked(link, flight->slot, ACK_LOST, 0);
    }
    pthread_mutex_unlock(&link->mqtt->lock);
    link_enter(link, STATE_IDLE, NOW_NEVER);
    if (drop)
        mqtt_handle_drop(link);
    link->ending = false;
    mqtt_gate_look(link->mqtt);
}

/* ---- connecting ---- */

/* False, and `ret_text` filled in, when the password cannot be had. *ret_password is NULL when none is wanted. */
static bool link_password(const struct link *link, char *buffer, const char **ret_password, char *ret_text, size_t text_size) {
    const struct config_mqtt *config = &link->config;
    *ret_password = config->password_plain;
    if (!config->password_credential)
        return true;
    size_t length;
    if (!credential_read(link->mqtt->credentials_dir, config->password_credential, buffer, &length, ret_text, text_size))
        return false;
    *ret_password = buffer;
    return true;
}

/* The library gives no reason for a file that it cannot read. */
static bool link_files_readable(const struct link *link, enum link_reason *ret_reason, char *ret_text, size_t text_size) {
    const struct config_mqtt *config = &link->config;
    const char *files[] = {config->ca_file, config->certificate_file, config->key_file};
    for (size_t i = 0; i < ARRAY_COUNT(files); i++) {
        if (!link->broker->tls || !files[i] || access(files[i], R_OK) == 0)
            continue;
        *ret_reason = i == 0 ? LINK_CERTIFICATE : LINK_CREDENTIALS;
        mqtt_say(ret_text, text_size, "%.80s cannot be read: %.36s", files[i], strerrordesc_np(errno));
        return false;
    }
    return true;
}

static void link_attempt(struct link *link) {
    char buffer[CREDENTIAL_SIZE], text[LINE_SIZE / 4];
    const char *password = NULL;
    enum link_reason reason = LINK_CREDENTIALS;
    if (!link_password(link, buffer, &password, text, sizeof text) || !link_files_readable(link, &reason, text, sizeof text)) {
        link_end(link, reason, 0, text, false);
        return;
    }
    pthread_mutex_lock(&link->mqtt->lock);
    link->epoch++;
    link->tls_text[0] = '\0';
    link->leave_reason = 0;
    pthread_mutex_unlock(&link->mqtt->lock);
    link_enter(link, STATE_CONNECTING, CONNECT_LIMIT_US);
    int code = mqtt_handle_connect(link, password);
    explicit_bzero(buffer, sizeof buffer);
    if (code != MQTT_HANDLE_OK) {
        mqtt_say(text, sizeof text, "the MQTT library does not take the connection's settings: %.60s", mqtt_code_text(code));
        link_end(link, LINK_PROTOCOL, code, text, true);
    }
}

static void link_look(struct link *link, enum link_state state, int64_t limit_us) {
    link_enter(link, state, limit_us);
    if (link->broker->probe)
        return; /* the name service still hangs; that answer will do */
    struct mqtt_probe_request request = {
        .host = link->broker->host,
        .port = link->broker->port,
        .uplink = link->index,
        .epoch = link->broker->probe_epoch = ++link->probes,
        .connect = state == STATE_PROBING,
        .queue = &link->mqtt->queue,
    };
    if (mqtt_probe_start(&request, &link->broker->probe) != ERR_OK)
        link_end(link, LINK_UNREACHABLE, 0, "no thread could be started to look up the broker's name", false);
}

static void link_connect(struct link *link, uint8_t broker) {
    CHECK(link->state == STATE_IDLE);
    link->broker = &link->brokers[broker];
    link->version = link->broker->version_sure ? 4 : 5;
    link->fell_back = false;
    link_look(link, STATE_RESOLVING, RESOLVE_LIMIT_US);
}

static void link_explain(struct link *link, enum mqtt_looked looked, int looked_errno) {
    struct mqtt_link_down down;
    link->failure.looked = looked;
    link->failure.looked_errno = looked_errno;
    mqtt_failure_explain(&link->failure, &down);
    link_end(link, down.reason, down.code, down.text, false);
}

static void link_probed(struct link *link, const struct mqtt_command *answer) {
    struct link_broker *broker = NULL;
    for (unsigned i = 0; i < link->config.brokers_count; i++)
        if (link->brokers[i].probe && answer->epoch == link->brokers[i].probe_epoch)
            broker = &link->brokers[i];
    if (!broker)
        return;
    mqtt_probe_release(broker->probe);
    broker->probe = NULL;
    if (broker != link->broker)
        return; /* too late for this attempt: another broker is tried by now */
    if (link->state == STATE_RESOLVING && answer->code != 0) {
        char text[LINE_SIZE / 4];
        mqtt_say(text, sizeof text, "%.60s has no address: %.50s", link->broker->host, gai_strerror(answer->code));
        link_end(link, LINK_UNREACHABLE, answer->code, text, false);
    } else if (link->state == STATE_RESOLVING) {
        link_attempt(link);
    } else if (link->state == STATE_PROBING) {
        enum mqtt_looked looked = answer->detail == 0 ? LOOKED_ACCEPTED : answer->detail == ECONNREFUSED ? LOOKED_REFUSED : LOOKED_NO_WAY;
        link_explain(link, answer->code == 0 ? looked : LOOKED_NO_WAY, answer->code == 0 ? answer->detail : EHOSTUNREACH);
    }
}

static void link_up(struct link *link, const struct mqtt_command *notice) {
    struct mqtt *mqtt = link->mqtt;
    struct mqtt_link_up up = {.uplink = link->index, .version = link->version};
    up.receive_max = notice->receive_max ? notice->receive_max : 1;
    link_enter(link, STATE_UP, NOW_NEVER);
    pthread_mutex_lock(&mqtt->lock);
    link->bank ^= 1;
    link->live = true;
    if (!mqtt->muted)
        mqtt->sink.link_up(mqtt->sink.context, &up);
    pthread_mutex_unlock(&mqtt->lock);
    if (link->commands)
        (void)mqtt_handle_subscribe(link); /* a refusal is not fatal; a lost connection is told by its own notice */
    link->ready = true;
    mqtt_gate_look(mqtt);
}

static void link_failed(struct link *link, const struct mqtt_command *notice) {
    pthread_mutex_lock(&link->mqtt->lock);
    memcpy(link->failure_tls, link->tls_text, sizeof link->failure_tls);
    pthread_mutex_unlock(&link->mqtt->lock);
    link->failure = (struct mqtt_failure){
        .host = link->broker->host,
        .port = link->broker->port,
        .tls = link->broker->tls,
        .has_certificate = link->config.certificate_file != NULL,
        .code = notice->detail ? notice->detail : notice->code,
        .code_text = "",
        .timed_out = strstr(notice->text, "timeout") != NULL,
        .closed = strstr(notice->text, "completion failure") != NULL,
        .host_mismatch = notice->host_mismatch,
        .tls_text = link->failure_tls,
    };
    if (link->failure.code >= 0x80)
        link->failure.code_text = mqtt_reason_text(link->failure.code);
    if (mqtt_failure_is_version(&link->failure)) {
        link->broker->version_sure = link->version == 5 && link->failure.code > 0;
        if (link->version == 5 && !link->fell_back) {
            link->version = 4;
            link->fell_back = true;
            link_attempt(link);
            return;
        }
    }
    if (mqtt_failure_wants_look(&link->failure))
        link_look(link, STATE_PROBING, PROBE_LIMIT_US);
    else
        link_explain(link, LOOKED_NOT, 0);
}

/* ---- connected ---- */

static void link_send(struct link *link, const struct mqtt_command *send) {
    struct mqtt *mqtt = link->mqtt;
    if (link->state != STATE_UP) {
        pthread_mutex_lock(&mqtt->lock);
        tell_acked(link, send->slot, ACK_LOST, 0);
        pthread_mutex_unlock(&mqtt->lock);
        return;
    }
    struct flight *flight = mqtt_flight_begin(link, send->slot);
    int code = mqtt_handle_send(link, flight, send);
    if (code == MQTT_HANDLE_OK)
        return;
    pthread_mutex_lock(&mqtt->lock);
    if (code == MQTT_HANDLE_BAD_TOPIC) {
        flight->state = FLIGHT_FREE;
        link->in_flight--;
        tell_acked(link, send->slot, ACK_REFUSED, code);
    } else {
        flight->state = FLIGHT_FAILED;
    }
    pthread_mutex_unlock(&mqtt->lock);
    if (code != MQTT_HANDLE_BAD_TOPIC && code != MQTT_HANDLE_DISCONNECTED) { /* disconnected: the notice is on its way */
        char text[LINE_SIZE / 4];
        mqtt_say(text, sizeof text, "the MQTT library does not take a message: %.60s", mqtt_code_text(code));
        link_end(link, LINK_LOST, code, text, true);
    }
}

static void link_leave(struct link *link) {
    link_enter(link, STATE_LEAVING, LEAVE_LIMIT_US);
    if (mqtt_handle_leave(link) != MQTT_HANDLE_OK)
        link_end(link, LINK_CLOSED, 0, "", true);
}

static void link_disconnect(struct link *link) {
    switch (link->state) {
    case STATE_RESOLVING:
    case STATE_CONNECTING:
    case STATE_PROBING:
        link_end(link, LINK_CLOSED, 0, "", link->state == STATE_CONNECTING); /* the answer to mqtt_connect */
        /* fall through */
    case STATE_IDLE:
        pthread_mutex_lock(&link->mqtt->lock);
        tell_down(link, LINK_CLOSED, 0, "");
        pthread_mutex_unlock(&link->mqtt->lock);
        break;
    case STATE_UP: {
        link->ready = false;
        mqtt_gate_look(link->mqtt);
        pthread_mutex_lock(&link->mqtt->lock);
        link->draining = true;
        bool drained = link->in_flight == 0;
        pthread_mutex_unlock(&link->mqtt->lock);
        link_enter(link, STATE_DRAINING, DRAIN_LIMIT_US);
        if (drained)
            link_leave(link);
        break;
    }
    case STATE_DRAINING:
    case STATE_LEAVING:
        break;
    }
}

static void link_lost(struct link *link) {
    char text[LINE_SIZE / 4];
    pthread_mutex_lock(&link->mqtt->lock);
    int reason = link->leave_reason;
    pthread_mutex_unlock(&link->mqtt->lock);
    if (link->state != STATE_UP) {
        link_end(link, LINK_CLOSED, 0, "", false);
        return;
    }
    if (reason == REASON_TAKEN_OVER)
        mqtt_say(text, sizeof text, "%.40s: another client came with the client_id '%.40s'", link->broker->host, link->config.client_id);
    else if (reason)
        mqtt_say(text, sizeof text, "%.60s ended the connection: %.36s (0x%02x)", link->broker->host, mqtt_reason_text(reason), (unsigned)reason);
    else
        mqtt_say(text, sizeof text, "the connection to %.60s:%u broke", link->broker->host, (unsigned)link->broker->port);
    link_end(link, LINK_LOST, reason, text, false);
}

/* ---- what the pump calls ---- */

static bool link_owns(struct link *link, const struct mqtt_command *notice) {
    pthread_mutex_lock(&link->mqtt->lock);
    bool owns = notice->epoch == link->epoch;
    pthread_mutex_unlock(&link->mqtt->lock);
    return owns;
}

void mqtt_link_command(struct mqtt *mqtt, const struct mqtt_command *command) {
    struct link *link = &mqtt->links[command->uplink];
    switch (command->kind) {
    case MQTT_CONNECT:
        link_connect(link, command->broker);
        break;
    case MQTT_DISCONNECT:
        link_disconnect(link);
        break;
    case MQTT_SEND:
        link_send(link, command);
        atomic_fetch_sub(&link->sends_queued, 1);
        break;
    case MQTT_CLOSE:
        mqtt->closing = true;
        for (uint16_t i = 0; i < mqtt->links_count; i++)
            if (mqtt->links[i].state != STATE_IDLE)
                link_disconnect(&mqtt->links[i]);
        break;
    case MQTT_PROBED:
        link_probed(link, command);
        break;
    case MQTT_CONNECTED:
        if (link->state == STATE_CONNECTING && link_owns(link, command))
            link_up(link, command);
        break;
    case MQTT_FAILED:
        if (link->state == STATE_CONNECTING && link_owns(link, command))
            link_failed(link, command);
        break;
    case MQTT_LOST:
        if (link->state >= STATE_UP && link_owns(link, command))
            link_lost(link);
        break;
    case MQTT_DISCONNECTED:
        if (link->state == STATE_LEAVING && link_owns(link, command))
            link_end(link, LINK_CLOSED, 0, "", false);
        break;
    case MQTT_DRAINED:
        if (link->state == STATE_DRAINING && link_owns(link, command))
            link_leave(link);
        break;
    }
}

int64_t mqtt_link_deadline_us(struct link *link) {
    if (link->state != STATE_UP)
        return link->deadline_us;
    pthread_mutex_lock(&link->mqtt->lock);
    /* Without flights too: those of the loop do not wake the pump, and none of them is older than its last look. */
    int64_t from_us = link->in_flight ? link->progress_us : now_mono_us();
    int64_t deadline_us = from_us + STALL_KEEPALIVES * (int64_t)link->config.keepalive_s * 1000000;
    pthread_mutex_unlock(&link->mqtt->lock);
    return deadline_us;
}

void mqtt_link_overdue(struct link *link) {
    char text[LINE_SIZE / 4];
    switch (link->state) {
    case STATE_RESOLVING:
        mqtt_say(text, sizeof text, "the name service does not answer for %.80s", link->broker->host);
        link_end(link, LINK_UNREACHABLE, 0, text, false);
        break;
    case STATE_CONNECTING:
        mqtt_say(text, sizeof text, "%.80s:%u does not answer", link->broker->host, (unsigned)link->broker->port);
        link_end(link, LINK_UNREACHABLE, 0, text, true);
        break;
    case STATE_PROBING:
        link_explain(link, LOOKED_NO_WAY, ETIMEDOUT);
        break;
    case STATE_UP:
        mqtt_say(text, sizeof text, "no acknowledgement for %u s", STALL_KEEPALIVES * (unsigned)link->config.keepalive_s);
        link_end(link, LINK_LOST, 0, text, true);
        break;
    case STATE_DRAINING:
        link_leave(link);
        break;
    case STATE_LEAVING:
        link_end(link, LINK_CLOSED, 0, "", true);
        break;
    case STATE_IDLE:
        break;
    }
}
