/* SPDX-License-Identifier: Apache-2.0 */
/* What a right file becomes: every key of tests/vectors/config/good/site.yaml is read back, and the examples load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/estimate.h"
#include "config/load.h"

#define GOOD TESTS_DIR "/vectors/config/good/site.yaml"
#define PROFILES TESTS_DIR "/vectors/config/profiles"

struct site {
    struct arena arena;
    struct diagnostics diagnostics;
    const struct config *config;
};

static struct site *site_load(const char *path, const char *profiles) {
    struct site *site = malloc(sizeof(*site));
    arena_init(&site->arena);
    diagnostics_init(&site->diagnostics);
    enum err err = config_load(path, profiles, &site->arena, &site->diagnostics, &site->config);
    if (err)
        diagnostics_print(&site->diagnostics, stderr);
    assert_int_equal(err, ERR_OK);
    return site;
}

static void site_done(struct site *site) {
    diagnostics_done(&site->diagnostics);
    arena_done(&site->arena);
    free(site);
}

static int load_good(void **state) {
    *state = site_load(GOOD, NULL); /* its profiles stand in its own folder */
    return 0;
}

static int done_good(void **state) {
    site_done(*state);
    return 0;
}

static const struct config *config_of(void **state) {
    return ((struct site *)*state)->config;
}

static void assert_double(double value, double expected) {
    if (fabs(value - expected) > 1e-12)
        fail_msg("%g instead of %g", value, expected);
}

static void the_sections_are_read(void **state) {
    const struct config *config = config_of(state);
    assert_int_equal(((struct site *)*state)->diagnostics.warnings, 1); /* meters leave the factory with another speed */
    assert_string_equal(config->gateway_id, "site-01");
    assert_string_equal(config->timezone, "UTC");
    assert_int_equal(config->utc_offset_minutes, 0);
    assert_int_equal(config->places_count, 2);
    assert_string_equal(config->places[0].name, "充电棚");
    assert_int_equal(config->places[0].kind, PLACE_CHARGING);
    assert_string_equal(config->places[0].phone, "0573-1");
    assert_string_equal(config->places[1].name, "kitchen");
    assert_int_equal(config->places[1].stoves, 3);
    assert_int_equal(config->buses[0].kind, BUS_SERIAL);
    assert_string_equal(config->buses[0].serial, "/dev/ttyS7");
    assert_int_equal(config->buses[0].baud, 19200);
    assert_int_equal(config->buses[0].parity, PARITY_EVEN);
    assert_int_equal(config->buses[0].stop_bits, 2);
    assert_int_equal(config->buses[1].kind, BUS_TCP);
    assert_string_equal(config->buses[1].host, "192.168.1.2");
    assert_int_equal(config->buses[1].port, 502);
    assert_int_equal(config->buses[1].connect_timeout_ms, 500);
    assert_int_equal(config->buses[2].kind, BUS_RTU_OVER_TCP);
    assert_string_equal(config->buses[2].host, "fe80::1");
    assert_int_equal(config->buses[2].port, 8899);
    assert_int_equal(config->buses[2].connect_timeout_ms, 3000);
    assert_int_equal(config->store.spool_bytes_max, 64000000);
    assert_int_equal(config->store.readings_commit_ms, 10000);
    assert_int_equal(config->store.history_days, 30);
    assert_true(config->store.history_bytes_max == 1000000000 && config->store.rollup_days == 400);
    assert_true(config->store.event_days == 200 && config->store.record_days == 1000 && config->store.events_bytes_max == 32000000);
    assert_true(config->uplinks[0].keep.events_ms == 90 * UINT64_C(86400000) && config->uplinks[0].keep.events_bytes == 20000000);
    assert_true(config->uplinks[0].keep.readings_ms == 7 * UINT64_C(86400000) && config->uplinks[0].keep.readings_bytes == 100000000);
    assert_true(config->uplinks[1].keep.events_ms == 365 * UINT64_C(86400000) && config->uplinks[1].keep.events_bytes == 0);
    assert_true(config->uplinks[1].keep.readings_ms == 31 * UINT64_C(86400000) && config->uplinks[1].keep.readings_bytes == 0);
    assert_true(config->store.card_bytes == 32000000000 && config->store.card_cycles == 2000);
    assert_int_equal(strlen(config->hash), 16);
    assert_int_equal(strlen(config->profiles_hash), 16);
}

static void devices_take_their_profile(void **state) {
    const struct config *config = config_of(state);
    const struct config_device *meter = &config->devices[0], *relay = &config->devices[2];
    assert_int_equal(config->devices_count, 4);
    assert_int_equal(config->points_count, 5 + 5 + 3 + 7);
    assert_string_equal(meter->spec.name, "meter-1");
    assert_int_equal(meter->spec.unit_id, 11);
    assert_int_equal(meter->spec.timeout_ms, 200);
    assert_int_equal(config->devices[1].spec.timeout_ms, 300);
    assert_true(meter->spec.gaps_allowed);
    assert_false(config->devices[1].spec.gaps_allowed);
    assert_int_equal(meter->spec.registers_max, 64);
    assert_int_equal(meter->spec.setup_count, 1);
    assert_int_equal(meter->spec.setup[0].address, 0x10);
    assert_int_equal(meter->spec.setup[0].value, 3);
    assert_int_equal(meter->place, 0);
    assert_int_equal(config->devices[1].place, CONFIG_NONE);
    assert_string_equal(meter->location, "北侧");
    assert_string_equal(meter->manufacturer, "Example");
    assert_int_equal(relay->first_point, 10);
    assert_int_equal(relay->bus, 1);
    assert_int_equal(relay->spec.timeout_ms, 500);
    assert_int_equal(relay->spec.registers_max, 125);
    const struct point *voltage = config_point(config, 0, 0), *leakage = config_point(config, 0, 2), *channel = config_point(config, 2, 0);
    assert_int_equal(voltage->every_ms, 250);                      /* the site's */
    assert_int_equal(config_point(config, 1, 0)->every_ms, 5000);  /* the profile's */
    assert_int_equal(config_point(config, 0, 1)->every_ms, 5000);  /* the default of an electrical point */
    assert_int_equal(config_point(config, 1, 1)->every_ms, 10000); /* the default */
    assert_int_equal(channel->every_ms, 5000);                     /* what an action writes is read back */
    assert_int_equal(leakage->every_ms, 1000);                     /* the default of a fire point */
    assert_int_equal(config_point(config, 1, 2)->every_ms, 10000); /* its fire alarm was removed */
    assert_int_equal(leakage->class, CLASS_FIRE);
    assert_int_equal(config_point(config, 1, 2)->class, CLASS_MAINTENANCE);
    assert_int_equal(voltage->class, CLASS_ELECTRICAL);
    assert_true(leakage->feeds_action);
    assert_true(config_point(config, 0, 1)->feeds_action);
    assert_false(voltage->feeds_action);
    assert_int_equal(leakage->error_values_count, 2);
    assert_int_equal(leakage->error_values[1], 0xFFFF);
    assert_true(channel->writable && channel->verify);
    assert_int_equal(channel->write_on, 0xFF00);
    assert_int_equal(channel->write_off, 0);
    assert_int_equal(channel->labels_count, 2);
    assert_string_equal(channel->labels[1].name, "on");
    assert_string_equal(channel->zh, "一路");
}

static void points_are_read(void **state) {
    const struct point *points = config_of(state)->devices[3].spec.points;
    assert_int_equal(points[0].read, READ_HOLDING);
    assert_int_equal(points[0].every_ms, 100);
    assert_int_equal(points[0].type, TYPE_U16);
    assert_int_equal(points[0].registers, 1);
    assert_double(points[0].scale, 1);
    assert_int_equal(points[1].type, TYPE_S16);
    assert_int_equal(points[1].order, ORDER_BADC);
    assert_double(points[1].scale, 0.1);
    assert_double(points[1].offset, -40);
    assert_string_equal(points[1].unit, "°C");
    assert_true(points[1].has_range);
    assert_double(points[1].range_min, -40);
    assert_double(points[1].range_max, 80);
    assert_int_equal(points[2].read, READ_DISCRETE);
    assert_int_equal(points[2].type, TYPE_BIT);
    assert_int_equal(points[2].address, 65535);
    assert_int_equal(points[3].type, TYPE_BCD);
    assert_int_equal(points[3].registers, 2);
    assert_int_equal(points[4].type, TYPE_F64);
    assert_int_equal(points[4].registers, 4);
    assert_int_equal(points[4].order, ORDER_DCBA);
    assert_true(points[5].bit_field);
    assert_int_equal(points[5].bit_first, 3);
    assert_int_equal(points[5].bit_count, 1);
    assert_true(points[6].writable);
    assert_int_equal(points[6].write_on, 0x55);
    assert_int_equal(points[6].write_off, 0xAA);
}

static const struct config_alarm *alarm_of(const struct config *config, const char *device, const char *name) {
    for (uint16_t i = 0; i < config->alarms_count; i++)
        if (strcmp(config->alarms[i].name, name) == 0 && strcmp(config->devices[config->alarms[i].device].spec.name, device) == 0)
            return &config->alarms[i];
    return NULL;
}

static void alarms_are_made_changed_and_removed(void **state) {
    const struct config *config = config_of(state);
    const struct config_alarm *branch = alarm_of(config, "meter-1", "branch"), *high = alarm_of(config, "meter-1", "voltage-high");
    const struct config_alarm *silent = alarm_of(config, "meter-2", "communication"), *door = alarm_of(config, "d0", "door");
    assert_int_equal(config->alarms_count, 4 + 4 + 4 + 3 - 1); /* of profiles, of communication, of the site, of actions, one removed */
    assert_null(alarm_of(config, "meter-2", "leak"));
    assert_int_equal(branch->condition, CONDITION_ABOVE);
    assert_double(branch->limit, 9);
    assert_double(branch->deadband, 0.5);
    assert_int_equal(branch->on_delay_ms, 10000);
    assert_int_equal(branch->off_delay_ms, 60000);
    assert_int_equal(branch->of_n, 3);
    assert_int_equal(branch->of_m, 4);
    assert_int_equal(branch->priority, PRIORITY_HIGH);
    assert_string_equal(branch->zh, "电流高于 9 A");
    assert_string_equal(branch->en, "current above 9 A");
    assert_double(high->limit, 260);
    assert_double(high->deadband, 2); /* kept from the profile */
    assert_int_equal(high->on_delay_ms, 3000);
    assert_int_equal(high->class, CLASS_ELECTRICAL);
    assert_double(alarm_of(config, "meter-2", "voltage-high")->limit, 253);
    assert_string_equal(alarm_of(config, "meter-2", "voltage-high")->zh, "电压过高");
    assert_int_equal(silent->condition, CONDITION_COMMUNICATION);
    assert_int_equal(silent->point, CONFIG_NONE);
    assert_int_equal(silent->on_delay_ms, 30000);
    assert_int_equal(silent->priority, PRIORITY_LOW);
    assert_int_equal(silent->class, CLASS_FAULT);
    assert_int_equal(alarm_of(config, "d0", "communication")->priority, PRIORITY_HIGH);
    assert_int_equal(door->condition, CONDITION_EQUAL);
    assert_string_equal(door->label, "on");
    assert_double(door->limit, 1);
    assert_string_equal(door->en, "door open");
    assert_true(alarm_of(config, "d0", "cold")->latch);
    assert_double(alarm_of(config, "d0", "cold")->limit, -18);
    assert_string_equal(alarm_of(config, "relay-1", "mode")->label, "flash");
    for (uint16_t i = 0; i < config->alarms_count; i++)
        assert_true(config->alarms[i].zh && *config->alarms[i].zh && config->alarms[i].en && *config->alarms[i].en);
}

static void actions_refer_to_the_right_alarms(void **state) {
    const struct config *config = config_of(state);
    assert_int_equal(config->actions_count, 3);
    assert_ptr_equal(&config->alarms[config->actions[0].alarm], alarm_of(config, "meter-1", "branch"));
    assert_ptr_equal(&config->alarms[config->actions[1].alarm], alarm_of(config, "meter-1", "leak"));
    assert_ptr_equal(&config->alarms[config->actions[2].alarm], alarm_of(config, "meter-2", "communication"));
    assert_int_equal(config->actions[0].device, 2);
    assert_double(config->actions[0].value, 0);
    assert_double(config->actions[1].value, 7);
    assert_int_equal(config->actions[2].point, 6);
    assert_double(config->actions[2].value, 1);
}

static void uplinks_are_read(void **state) {
    const struct config *config = config_of(state);
    const struct config_uplink *city = &config->uplinks[0], *local = &config->uplinks[1];
    assert_int_equal(config->uplinks_count, 2);
    assert_true(city->mqtt.brokers[0].tls);
    assert_string_equal(city->mqtt.brokers[0].host, "broker.example");
    assert_int_equal(city->mqtt.brokers[0].port, 8883);
    assert_string_equal(city->mqtt.password_credential, "mqtt-password");
    assert_null(city->mqtt.password_plain);
    assert_string_equal(city->mqtt.ca_file, "/etc/ca.pem");
    assert_null(city->mqtt.key_file);
    assert_string_equal(city->mqtt.client_id, "site-01-city");
    assert_string_equal(city->mqtt.topic_prefix, "yanhuo/v1/site-01");
    assert_int_equal(city->mqtt.keepalive_s, 30);
    assert_int_equal(city->mqtt.window, 50);
    assert_true(city->readings.wanted);
    assert_int_equal(city->readings.batch_ms, 0);
    assert_false(city->readings.on_change);
    assert_int_equal(city->readings.at_least_every_ms, 0);
    assert_int_equal(city->mqtt.brokers_count, 1);
    assert_int_equal(city->mqtt.backlog_rate, 100);
    assert_int_equal(local->mqtt.brokers_count, 2);
    assert_string_equal(local->mqtt.brokers[1].host, "backup.example");
    assert_int_equal(local->mqtt.brokers[1].port, 1883);
    assert_int_equal(local->mqtt.backlog_rate, 0);
    assert_false(local->mqtt.brokers[0].tls);
    assert_int_equal(local->mqtt.brokers[0].port, 1884);
    assert_string_equal(local->mqtt.client_id, "me");
    assert_string_equal(local->mqtt.username, "");
    assert_int_equal(local->mqtt.window, WINDOW_DEFAULT);
    assert_int_equal(local->mqtt.keepalive_s, 15);
    assert_false(local->readings.wanted);
}

static void estimates_are_of_the_right_size(void **state) {
    const struct config *config = config_of(state);
    struct arena scratch;
    struct estimate_bus line, box;
    struct estimate_uplink city, local;
    arena_init(&scratch);
    assert_int_equal(estimate_bus(config, 0, &scratch, &line), ERR_OK);
    assert_int_equal(estimate_bus(config, 1, &scratch, &box), ERR_OK);
    assert_true(line.line && !box.line);
    assert_int_equal(line.devices, 2);
    assert_int_equal(line.points, 10);
    assert_true(line.requests >= 2 && line.requests <= 10);
    /* 4 a second of about 20 ms for voltage alone, at 19200 baud; nothing else comes near it */
    assert_true(line.load > 0.05 && line.load < 0.25);
    assert_true(line.round_us > 50000 && line.round_us < 400000);
    assert_int_equal(line.fire_period_ms, 1000);
    assert_true(estimate_keeps_fire(&line));
    assert_true(box.load == 0);
    assert_int_equal(estimate_uplink(config, 0, &scratch, &city), ERR_OK);
    assert_int_equal(estimate_uplink(config, 1, &scratch, &local), ERR_OK);
    /* every poll its own message: 4 a second of voltage, 10 of r0 and little else */
    assert_true(city.messages_per_hour > 14 * 3600 && city.messages_per_hour < 20 * 3600);
    assert_true(city.day_backlog_h > city.messages_per_hour * 24 / 3600 / 100 * 0.999 && city.day_backlog_h < city.messages_per_hour * 24 / 3600 / 100 * 1.001);
    assert_double(local.day_backlog_h, 0); /* no limit */
    assert_true(city.readings_mb > 5000 && city.readings_mb < 30000);
    assert_true(local.readings_mb == 0 && local.other_mb > 50 && local.other_mb < 200);
    arena_done(&scratch);
}

static void examples_load(void **state) {
    (void)state;
    static const char *const examples[] = {"gateway.yaml", "minimal.yaml", "demo.yaml"};
    for (size_t i = 0; i < 3; i++) {
        char path[1024];
        snprintf(path, sizeof(path), SOURCE_DIR "/config/%s", examples[i]);
        struct site *site = site_load(path, SOURCE_DIR "/sensors/profiles");
        assert_true(site->config->devices_count > 0 && site->config->uplinks_count > 0);
        site_done(site);
    }
}

static void a_converter_may_tell_its_lines_speed(void **state) {
    (void)state;
    struct site *site = site_load(TESTS_DIR "/vectors/config/good/converter.yaml", PROFILES);
    struct line_timing known = bus_line_timing(&site->config->buses[0]), unknown = bus_line_timing(&site->config->buses[1]);
    assert_true(known.baud == 19200 && known.bits_per_character == 11);
    assert_true(unknown.baud == 0);
    struct estimate_bus bus;
    struct arena scratch;
    arena_init(&scratch);
    assert_int_equal(estimate_bus(site->config, 0, &scratch, &bus), ERR_OK);
    assert_true(bus.line && bus.load > 0);
    assert_int_equal(estimate_bus(site->config, 1, &scratch, &bus), ERR_OK);
    assert_false(bus.line);
    arena_done(&scratch);
    site_done(site);
}

/* A byte order mark and CR LF, as an editor on Windows leaves them. */
static void a_file_from_windows_loads(void **state) {
    (void)state;
    struct site *site = site_load(TESTS_DIR "/vectors/config/good/windows.yaml", PROFILES);
    assert_string_equal(site->config->gateway_id, "g");
    assert_string_equal(site->config->uplinks[0].mqtt.brokers[0].host, "h");
    assert_int_equal(site->diagnostics.count, 0);
    site_done(site);
}

static void equal_files_have_equal_hashes(void **state) {
    struct site *again = site_load(GOOD, PROFILES);
    assert_string_equal(again->config->hash, config_of(state)->hash);
    assert_string_equal(again->config->profiles_hash, config_of(state)->profiles_hash);
    struct site *other = site_load(SOURCE_DIR "/config/minimal.yaml", SOURCE_DIR "/sensors/profiles");
    assert_string_not_equal(other->config->hash, config_of(state)->hash);
    assert_string_not_equal(other->config->profiles_hash, config_of(state)->profiles_hash);
    site_done(again);
    site_done(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_sections_are_read, load_good, done_good),
        cmocka_unit_test_setup_teardown(devices_take_their_profile, load_good, done_good),
        cmocka_unit_test_setup_teardown(points_are_read, load_good, done_good),
        cmocka_unit_test_setup_teardown(alarms_are_made_changed_and_removed, load_good, done_good),
        cmocka_unit_test_setup_teardown(actions_refer_to_the_right_alarms, load_good, done_good),
        cmocka_unit_test_setup_teardown(uplinks_are_read, load_good, done_good),
        cmocka_unit_test_setup_teardown(estimates_are_of_the_right_size, load_good, done_good),
        cmocka_unit_test_setup_teardown(equal_files_have_equal_hashes, load_good, done_good),
        cmocka_unit_test(examples_load),
        cmocka_unit_test(a_converter_may_tell_its_lines_speed),
        cmocka_unit_test(a_file_from_windows_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
