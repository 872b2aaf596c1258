/* SPDX-License-Identifier: Apache-2.0 */
/* Every call of the library and every callback from it. The pump (mqtt_pump.c) is the only caller, but for messages that take
 * the short way (mqtt_gate.c). The callbacks run on the library's threads, with its lock held, so they only copy, account and
 * call the sink. Nothing here holds mqtt->lock while it calls the library.
 *
 * Accounting. A connection attempt has an epoch. Each message sent is a flight, found by the context pointer, never by token
 * (the library reports token 0 for failed writes). A flight holds slot and epoch; a callback of another epoch is dropped.
 * There are two banks of flights, used in turn by successive connections, so that what the last connection left behind in the
 * library cannot meet the slots of the present one. A flight the library reports as failed is only marked: the link is going down,
 * and its LOST is told right after the link_down, so that the engine does not send into a dying connection.
 *
 * Which handle. A handle is reused, because MQTTAsync_destroy up to 1.3.13 leaks the publishes its send thread has not yet
 * taken. But after a connection is lost the library keeps those publishes and would send them on the next connection, hours
 * later, as if they were new, beside the copies the engine sends by then. So when a connection ends with flights that the
 * library has not answered, the handle is destroyed and the next connection gets a fresh one; the leak is then at most what is
 * under way (UPLINK_BYTES_MAX of readings and backlog, and what events there are), only of what a blocked socket had not taken at the
 * moment of loss, and none from 1.3.14 on. Fresh handles are also made after a
 * stall, a time-out and a change of broker or protocol version. Destroying answers all that is left, on the pump, before a new epoch.
 *
 * Host names. The library reports a certificate for another host exactly like a refused TCP connection, but its trace says
 * "X509_check_host ... failed" just before, on the same thread; for an address a "X509_check_ip_asc is 1" may take that back.
 * The trace is switched on while a TLS link connects. A library that words it otherwise makes it LINK_PROTOCOL. */
#include "gateway/io/mqtt_link.h"

#include <MQTTAsync.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

#define CONNECT_TIMEOUT_S 10

static _Thread_local bool host_check_failed; /* set by the trace, read by the failure callback that follows on the same thread */

/* ---- callbacks: on the library's threads, or on the pump inside MQTTAsync_destroy ---- */

static void link_notice(struct link *link, struct mqtt_command *notice) {
    pthread_mutex_lock(&link->mqtt->lock);
    notice->epoch = link->epoch;
    pthread_mutex_unlock(&link->mqtt->lock);
    mqtt_queue_put(&link->mqtt->queue, notice);
}

static void flight_settle(struct flight *flight, enum ack_result result, int code) {
    struct link *link = flight->link;
    struct mqtt *mqtt = link->mqtt;
    bool drained = false;
    pthread_mutex_lock(&mqtt->lock);
    if (flight->state == FLIGHT_WAITING && flight->epoch == link->epoch) {
        if (result == ACK_LOST) {
            flight->state = FLIGHT_FAILED;
        } else {
            flight->state = FLIGHT_FREE;
            link->in_flight--;
            link->progress_us = now_mono_us();
            struct mqtt_acked acked = {.uplink = link->index, .slot = flight->slot, .result = result, .code = code, .at_us = link->progress_us};
            if (!mqtt->muted)
                mqtt->sink.acked(mqtt->sink.context, &acked);
            drained = link->draining && link->in_flight == 0;
        }
    }
    pthread_mutex_unlock(&mqtt->lock);
    if (drained)
        link_notice(link, mqtt_command_new(MQTT_DRAINED, link->index));
}

static void on_sent(void *context, MQTTAsync_successData *data) {
    (void)data;
    flight_settle(context, ACK_OK, 0);
}

static void on_sent5(void *context, MQTTAsync_successData5 *data) {
    (void)data;
    flight_settle(context, ACK_OK, 0);
}

static void on_unsent(void *context, MQTTAsync_failureData *data) {
    flight_settle(context, ACK_LOST, data->code);
}

static void on_unsent5(void *context, MQTTAsync_failureData5 *data) {
    if (data->code < 0) /* asked first: the library leaves reasonCode unset when a write fails */
        flight_settle(context, ACK_LOST, data->code);
    else
        flight_settle(context, ACK_REFUSED, (int)data->reasonCode);
}

static void connected_notice(struct link *link, uint16_t receive_max) {
    host_check_failed = false;
    struct mqtt_command *notice = mqtt_command_new(MQTT_CONNECTED, link->index);
    notice->receive_max = receive_max;
    link_notice(link, notice);
}

static void on_connected(void *context, MQTTAsync_successData *data) {
    (void)data;
    connected_notice(context, UINT16_MAX);
}

static void on_connected5(void *context, MQTTAsync_successData5 *data) {
    uint16_t receive_max = UINT16_MAX;
    if (MQTTProperties_hasProperty(&data->properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM))
        receive_max = (uint16_t)MQTTProperties_getNumericValue(&data->properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM);
    connected_notice(context, receive_max);
}

static void failed_notice(struct link *link, int code, int detail, const char *message) {
    struct mqtt_command *notice = mqtt_command_new(MQTT_FAILED, link->index);
    notice->code = code;
    notice->detail = detail;
    snprintf(notice->text, sizeof notice->text, "%s", message ? message : "");
    notice->host_mismatch = host_check_failed && message && strstr(message, "TLS connect failure");
    host_check_failed = false;
    link_notice(link, notice);
}

static void on_failed(void *context, MQTTAsync_failureData *data) {
    failed_notice(context, data->code, 0, data->message);
}

static void on_failed5(void *context, MQTTAsync_failureData5 *data) {
    /* An interrupted attempt leaves reasonCode unset; 1.3.12 puts the CONNACK's reason into code, later ones into both. */
    int reason = data->code == MQTTASYNC_OPERATION_INCOMPLETE ? 0 : (int)data->reasonCode;
    failed_notice(context, data->code, reason >= 0x80 ? reason : 0, data->message);
}

static void on_lost(void *context, char *cause) {
    (void)cause; /* always NULL */
    struct link *link = context;
    link_notice(link, mqtt_command_new(MQTT_LOST, link->index));
}

/* The broker ends the connection and says why. The library closes it next, but up to 1.3.13 does not call on_lost then. */
static void on_told_to_leave(void *context, MQTTProperties *properties, enum MQTTReasonCodes reason) {
    (void)properties;
    struct link *link = context;
    pthread_mutex_lock(&link->mqtt->lock);
    link->leave_reason = (int)reason;
    pthread_mutex_unlock(&link->mqtt->lock);
    link_notice(link, mqtt_command_new(MQTT_LOST, link->index));
}

static void on_left(void *context, MQTTAsync_successData *data) {
    (void)data;
    struct link *link = context;
    link_notice(link, mqtt_command_new(MQTT_DISCONNECTED, link->index));
}

static void on_left5(void *context, MQTTAsync_successData5 *data) {
    (void)data;
    on_left(context, NULL);
}

/* Commands. What is too much is dropped here, before anything is copied: the library has the whole message already, and the sooner
 * its thread is back the sooner it reads the acknowledgement of an alarm. */
static int on_message(void *context, char *topic, int topic_length, MQTTAsync_message *message) {
    struct link *link = context;
    struct mqtt *mqtt = link->mqtt;
    bool whole = topic_length == 0 || strlen(topic) == (size_t)topic_length; /* else a zero byte stands in the topic */
    pthread_mutex_lock(&mqtt->lock);
    bool wanted = link->live && !mqtt->muted && whole;
    bool taken = wanted && mqtt_bucket_take(&link->bucket, now_mono_us()) &&
                 mqtt->sink.received(mqtt->sink.context, link->index, message->retained != 0, topic, message->payload, (size_t)message->payloadlen);
    if (wanted && !taken)
        atomic_fetch_add(&link->dropped, 1);
    pthread_mutex_unlock(&mqtt->lock);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

static int on_tls_error(const char *line, size_t length, void *context) {
    struct link *link = context;
    pthread_mutex_lock(&link->mqtt->lock);
    if (!link->tls_text[0])
        mqtt_tls_reason(line, length, link->tls_text, sizeof link->tls_text);
    pthread_mutex_unlock(&link->mqtt->lock);
    return 1;
}

static void on_trace(enum MQTTASYNC_TRACE_LEVELS level, char *message) {
    (void)level;
    if (strstr(message, "X509_check_host") && strstr(message, "failed"))
        host_check_failed = true;
    else if (strstr(message, "X509_check_ip_asc is 1"))
        host_check_failed = false; /* it is an address, and the certificate has it */
}

/* ---- the handle ---- */

void mqtt_trace_host_check(enum mqtt_trace trace) {
    static const enum MQTTASYNC_TRACE_LEVELS levels[] = {
        [TRACE_OFF] = MQTTASYNC_TRACE_ERROR, /* above it the library would go on formatting each packet, for nobody */
        [TRACE_NAMES] = MQTTASYNC_TRACE_PROTOCOL,
        [TRACE_ADDRESSES] = MQTTASYNC_TRACE_MINIMUM,
    };
    MQTTAsync_setTraceCallback(trace == TRACE_OFF ? NULL : on_trace);
    MQTTAsync_setTraceLevel(levels[trace]);
}

const char *mqtt_code_text(int code) {
    const char *text = MQTTAsync_strerror(code);
    return text ? text : "";
}

const char *mqtt_reason_text(int reason) {
    const char *text = MQTTReasonCode_toString((enum MQTTReasonCodes)reason);
    return text ? text : "";
}

void mqtt_handle_drop(struct link *link) {
    if (link->handle)
        MQTTAsync_destroy(&link->handle);
    link->handle = NULL;
}

static int handle_make(struct link *link) {
    if (link->handle && link->handle_broker == link->broker && link->handle_version == link->version)
        return MQTTASYNC_SUCCESS;
    mqtt_handle_drop(link);
    MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer;
    options.MQTTVersion = link->version == 5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    options.sendWhileDisconnected = 0;
    options.maxBufferedMessages = link->config.window + 10;
    int code = MQTTAsync_createWithOptions(&link->handle, link->broker->uri, link->config.client_id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &options);
    if (code != MQTTASYNC_SUCCESS) {
        link->handle = NULL;
        return code;
    }
    link->handle_broker = link->broker;
    link->handle_version = link->version;
    CHECK(MQTTAsync_setCallbacks(link->handle, link, on_lost, on_message, NULL) == MQTTASYNC_SUCCESS);
    CHECK(MQTTAsync_setDisconnected(link->handle, link, on_told_to_leave) == MQTTASYNC_SUCCESS);
    return MQTTASYNC_SUCCESS;
}

int mqtt_handle_connect(struct link *link, const char *password) {
    const struct config_mqtt *config = &link->config;
    int code = handle_make(link);
    if (code != MQTTASYNC_SUCCESS)
        return code;
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    will.topicName = link->status_topic;
    will.message = link->mqtt->will_payload;
    will.retained = 1;
    will.qos = 1;
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    tls.trustStore = config->ca_file;
    tls.disableDefaultTrustStore = config->ca_file != NULL;
    tls.keyStore = config->certificate_file;
    tls.privateKey = config->key_file;
    tls.enableServerCertAuth = 1;
    tls.verify = 1; /* the host name; off by default in the library */
    tls.ssl_error_cb = on_tls_error;
    tls.ssl_error_context = link;

    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    if (link->version == 5) {
        MQTTAsync_connectOptions options5 = MQTTAsync_connectOptions_initializer5;
        options = options5;
        options.cleanstart = 1; /* and no session expiry: the session ends with the connection */
        options.onSuccess5 = on_connected5;
        options.onFailure5 = on_failed5;
    } else {
        options.MQTTVersion = MQTTVERSION_3_1_1;
        options.cleansession = 1;
        options.onSuccess = on_connected;
        options.onFailure = on_failed;
    }
    options.context = link;
    options.keepAliveInterval = config_ping_s(config);
    options.connectTimeout = CONNECT_TIMEOUT_S;
    options.maxInflight = config->window + 10; /* at or below the window the library's send thread sleeps whole seconds */
    options.will = &will;
    options.ssl = link->broker->tls ? &tls : NULL;
    options.username = config->username[0] ? config->username : NULL;
    options.password = password;
    return MQTTAsync_connect(link->handle, &options);
}

int mqtt_handle_subscribe(struct link *link) {
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer; /* no callbacks: a refusal is not fatal */
    if (link->version == 5) {
        response.subscribeOptions.retainHandling = 2;    /* what the broker has kept may be of any age: it stays there */
        response.subscribeOptions.retainAsPublished = 1; /* what is meant to be kept is refused, and its sender hears it */
    }
    return MQTTAsync_subscribe(link->handle, link->command_filter, 1, &response);
}

int mqtt_handle_send(struct link *link, struct flight *flight, const struct mqtt_command *send) {
    MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
    response.context = flight;
    if (link->version == 5) {
        response.onSuccess5 = on_sent5;
        response.onFailure5 = on_unsent5;
    } else {
        response.onSuccess = on_sent;
        response.onFailure = on_unsent;
    }
    return MQTTAsync_send(link->handle, send->topic, (int)send->size, send->payload, send->qos, send->retain, &response);
}

int mqtt_handle_leave(struct link *link) {
    MQTTAsync_disconnectOptions options = MQTTAsync_disconnectOptions_initializer;
    if (link->version == 5) {
        MQTTAsync_disconnectOptions options5 = MQTTAsync_disconnectOptions_initializer5;
        options = options5;
        options.onSuccess5 = on_left5;
    } else {
        options.onSuccess = on_left;
    }
    options.context = link;
    return MQTTAsync_disconnect(link->handle, &options);
}
