/* SPDX-License-Identifier: Apache-2.0 */
/* An MQTT 3.1.1 subscriber of its own, on a bare socket: notes when each reading message came, and what the message says
 * about its reading.
 *
 *   subscriber PORT TOPIC FILE
 *
 * Prints "ready" when the broker has taken the subscription. SIGTERM ends it: it then writes FILE, one struct received a
 * message. The stamp is put together from the values of the points r0 to r3, high word first; -1 where they are missing. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RECEIVED_MAX 4000000
#define BUFFER_SIZE (1 << 20)

struct received {
    int64_t at_us, stamp_us, reading_ms; /* wall clock */
    int32_t device, size;
};

static struct received *received;
static size_t received_count;
static volatile sig_atomic_t stopping;
static uint8_t buffer[BUFFER_SIZE];
static size_t buffered;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void on_signal(int number) {
    (void)number;
    stopping = 1;
}

static int64_t clock_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* "2026-01-31T08:00:00.123+08:00" in milliseconds since 1970. */
static int64_t time_ms(const char *text) {
    int year, month, day, hour, minute, second, ms, off_hour, off_minute;
    char sign;
    if (sscanf(text, "%d-%d-%dT%d:%d:%d.%d%c%d:%d", &year, &month, &day, &hour, &minute, &second, &ms, &sign, &off_hour, &off_minute) != 10)
        return -1;
    struct tm civil = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute, .tm_sec = second};
    int64_t offset_s = (off_hour * 60 + off_minute) * 60;
    return ((int64_t)timegm(&civil) - (sign == '-' ? -offset_s : offset_s)) * 1000 + ms;
}

static int64_t stamp_of(const char *payload) {
    uint64_t stamp = 0;
    unsigned parts = 0;
    for (const char *point = payload; (point = strstr(point, "\"point\":\"r")) != NULL; point++) {
        unsigned number, value;
        if (sscanf(point, "\"point\":\"r%u\",\"v\":%u", &number, &value) != 2 || number > 3)
            continue;
        stamp |= (uint64_t)value << (48 - 16 * number);
        parts |= 1u << number;
        if (parts == 15)
            return (int64_t)stamp;
    }
    return -1;
}

static void take_message(char *topic, char *payload, size_t size, int64_t now_us) {
    const char *last = strrchr(topic, '/'), *time = strstr(payload, "\"t\":\"");
    if (received_count == RECEIVED_MAX || !last || last[1] != 'd')
        return;
    received[received_count++] = (struct received){
        .at_us = now_us, .stamp_us = stamp_of(payload), .reading_ms = time ? time_ms(time + 5) : -1, .device = atoi(last + 2), .size = (int32_t)size};
}

/* One packet of `size` bytes, of which the first `head` are type and length; the byte behind it may be written. */
static void take_packet(uint8_t *packet, size_t head, size_t size, int64_t now_us) {
    if (packet[0] >> 4 == 9) { /* SUBACK */
        puts("ready");
        fflush(stdout);
    }
    if (packet[0] >> 4 != 3)
        return;
    size_t topic_size = (size_t)packet[head] << 8 | packet[head + 1];
    char *topic = (char *)packet + head + 2, *payload = topic + topic_size; /* QoS 0: no packet id between */
    uint8_t behind = packet[size];
    static char topic_text[1024];
    if (topic_size >= sizeof(topic_text))
        return;
    memcpy(topic_text, topic, topic_size);
    topic_text[topic_size] = '\0';
    packet[size] = 0;
    take_message(topic_text, payload, size - (size_t)(payload - (char *)packet), now_us);
    packet[size] = behind;
}

static void take_buffer(int64_t now_us) {
    size_t at = 0;
    while (buffered - at >= 2) {
        size_t length = 0, head = 1;
        unsigned shift = 0;
        bool whole = false;
        while (at + head < buffered && head < 5) {
            uint8_t byte = buffer[at + head++];
            length |= (size_t)(byte & 127) << shift;
            shift += 7;
            if (!(byte & 128)) {
                whole = true;
                break;
            }
        }
        if (!whole || buffered - at < head + length)
            break;
        take_packet(buffer + at, head, head + length, now_us);
        at += head + length;
    }
    memmove(buffer, buffer + at, buffered - at);
    buffered -= at;
}

static int subscribe_to(int port, const char *topic) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    static const uint8_t hello[] = {0x10, 15, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 3, 's', 'u', 'b'};
    uint8_t packet[256] = {0x82};
    size_t size = strlen(topic);
    if (size > 100)
        die("topic");
    packet[1] = (uint8_t)(size + 5);
    packet[3] = 1; /* packet id */
    packet[5] = (uint8_t)size;
    memcpy(packet + 6, topic, size); /* then QoS 0 */
    if (write(fd, hello, sizeof(hello)) != (ssize_t)sizeof(hello) || write(fd, packet, size + 7) != (ssize_t)size + 7)
        die("write");
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: subscriber PORT TOPIC FILE\n");
        return 2;
    }
    received = calloc(RECEIVED_MAX, sizeof(*received));
    if (!received)
        die("start");
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    int fd = subscribe_to(atoi(argv[1]), argv[2]);
    while (!stopping) {
        ssize_t got = read(fd, buffer + buffered, sizeof(buffer) - 1 - buffered);
        int64_t now_us = clock_us();
        if (got == 0 || (got < 0 && errno != EINTR))
            die("the broker hung up");
        if (got > 0) {
            buffered += (size_t)got;
            take_buffer(now_us);
        }
    }
    FILE *file = fopen(argv[3], "wb");
    if (!file || fwrite(received, sizeof(*received), received_count, file) != received_count || fclose(file) != 0)
        die(argv[3]);
    return 0;
}
