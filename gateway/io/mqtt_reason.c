/* SPDX-License-Identifier: Apache-2.0 */
/* The library says little when a connection fails: TCP refused, no route and a host name that does not match are all code -1.
 * What is known is asked in the order of how sure it is: the broker's own answer (CONNACK), OpenSSL's text, the host name
 * check, a time-out, and last what a plain TCP connect gave. LINK_CERTIFICATE is only said when the check itself said so. */
#include "gateway/io/mqtt_reason.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* CONNACK return codes of MQTT 3.1.1 (section 3.2.2.3) and reason codes of MQTT 5 (section 3.2.2.2) */
#define V4_VERSION 1
#define V4_CLIENT_ID 2
#define V4_UNAVAILABLE 3
#define V4_PASSWORD 4
#define V4_NOT_AUTHORIZED 5
#define V5_VERSION 0x84
#define V5_PASSWORD 0x86
#define V5_NOT_AUTHORIZED 0x87
#define V5_BANNED 0x8A
#define V5_METHOD 0x8C

void mqtt_say(char *text, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, size, format, arguments);
    va_end(arguments);
}

static bool failure_is_answer(const struct mqtt_failure *failure) {
    return failure->code > 0;
}

bool mqtt_failure_is_version(const struct mqtt_failure *failure) {
    if (failure_is_answer(failure))
        return failure->code == V4_VERSION || failure->code == V5_VERSION;
    return failure->closed && !failure->host_mismatch && !failure->tls_text[0];
}

bool mqtt_failure_wants_look(const struct mqtt_failure *failure) {
    return failure->looked == LOOKED_NOT && !failure_is_answer(failure) && !failure->tls_text[0] && !failure->host_mismatch;
}

static void explain_answer(const struct mqtt_failure *failure, struct mqtt_link_down *down) {
    static const char *const v4_texts[] = {
        [V4_VERSION] = "does not speak MQTT 3.1.1",
        [V4_CLIENT_ID] = "does not accept the client id",
        [V4_UNAVAILABLE] = "says it is not available",
        [V4_PASSWORD] = "does not accept the user name or password",
        [V4_NOT_AUTHORIZED] = "does not allow this user or client",
    };
    int code = failure->code;
    bool v4_password = code == V4_PASSWORD || code == V4_NOT_AUTHORIZED;
    bool v5_password = code == V5_PASSWORD || code == V5_NOT_AUTHORIZED || code == V5_BANNED || code == V5_METHOD;
    down->reason = v4_password || v5_password ? LINK_CREDENTIALS : LINK_PROTOCOL;
    if (code <= V4_NOT_AUTHORIZED)
        mqtt_say(down->text, sizeof down->text, "%.60s %s (code %d)", failure->host, v4_texts[code], code);
    else if (v5_password)
        mqtt_say(down->text, sizeof down->text, "%.50s does not accept user name, password or client: %.30s (0x%02x)", failure->host,
                 failure->code_text, (unsigned)code);
    else
        mqtt_say(down->text, sizeof down->text, "%.60s refused: %.40s (0x%02x)", failure->host, failure->code_text, (unsigned)code);
}

static void explain_tls(const struct mqtt_failure *failure, struct mqtt_link_down *down) {
    if (strstr(failure->tls_text, "certificate verify failed")) {
        down->reason = LINK_CERTIFICATE;
        mqtt_say(down->text, sizeof down->text, "certificate of %.60s does not hold: %.40s", failure->host, failure->tls_text);
    } else if (strstr(failure->tls_text, "alert") && strstr(failure->tls_text, "cert")) {
        down->reason = LINK_CREDENTIALS;
        mqtt_say(down->text, sizeof down->text, "%.50s does not accept our certificate: %.40s", failure->host, failure->tls_text);
    } else {
        down->reason = LINK_PROTOCOL;
        mqtt_say(down->text, sizeof down->text, "TLS with %.50s:%u failed: %.40s", failure->host, (unsigned)failure->port, failure->tls_text);
    }
}

static void explain_accepted(const struct mqtt_failure *failure, struct mqtt_link_down *down) {
    const char *hint = "";
    if (failure->timed_out) {
        down->reason = LINK_UNREACHABLE;
        mqtt_say(down->text, sizeof down->text, "%.60s:%u takes connections but does not answer", failure->host, (unsigned)failure->port);
        return;
    }
    if (failure->tls)
        hint = failure->has_certificate ? "; is it TLS there, and our certificate right?" : "; is it TLS there, and does it want a certificate?";
    else
        hint = "; is it MQTT there, and without TLS?";
    down->reason = LINK_PROTOCOL;
    mqtt_say(down->text, sizeof down->text, "%.46s:%u hung up before MQTT began%s", failure->host, (unsigned)failure->port, hint);
}

void mqtt_failure_explain(const struct mqtt_failure *failure, struct mqtt_link_down *ret_down) {
    ret_down->code = failure->code;
    if (failure_is_answer(failure)) {
        explain_answer(failure, ret_down);
    } else if (failure->tls_text[0]) {
        explain_tls(failure, ret_down);
    } else if (failure->host_mismatch) {
        ret_down->reason = LINK_CERTIFICATE;
        mqtt_say(ret_down->text, sizeof ret_down->text, "certificate of %.60s does not hold: it names another host", failure->host);
    } else if (failure->looked == LOOKED_REFUSED) {
        ret_down->reason = LINK_REFUSED_TCP;
        mqtt_say(ret_down->text, sizeof ret_down->text, "%.60s:%u refuses connections; is the broker running?", failure->host,
                 (unsigned)failure->port);
    } else if (failure->looked == LOOKED_NO_WAY) {
        ret_down->reason = LINK_UNREACHABLE;
        mqtt_say(ret_down->text, sizeof ret_down->text, "%.60s:%u cannot be reached: %.36s", failure->host, (unsigned)failure->port,
                 strerrordesc_np(failure->looked_errno));
    } else {
        explain_accepted(failure, ret_down);
    }
}

void mqtt_tls_reason(const char *line, size_t length, char *ret_reason, size_t size) {
    size_t start = 0, end = length;
    unsigned colons = 0;
    for (size_t at = 0; at < length; at++) {
        if (line[at] != ':' && line[at] != '\n')
            continue;
        colons++;
        if (colons == 5)
            start = at + 1;
        if (colons == 6 || line[at] == '\n') {
            end = at;
            break;
        }
    }
    size_t copied = end - start < size - 1 ? end - start : size - 1;
    memcpy(ret_reason, line + start, copied);
    ret_reason[copied] = '\0';
}
