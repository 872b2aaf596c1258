/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles tried on a device. Each different read is made once; most profiles ask for much the same. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "gateway/commands/field.h"

#define PATH_SIZE 4096
#define SUFFIX ".yaml"

static int by_name(const void *left, const void *right) {
    const struct profile *const *a = left, *const *b = right;
    return strcmp((*a)->name, (*b)->name);
}

static bool profile_name(const char *file, char name[NAME_SIZE]) {
    size_t length = strlen(file), suffix = strlen(SUFFIX);
    if (length <= suffix || length - suffix >= NAME_SIZE || strcmp(file + length - suffix, SUFFIX) != 0)
        return false;
    memcpy(name, file, length - suffix);
    name[length - suffix] = '\0';
    return text_is_name(name);
}

const struct profile *field_profile_load(const char *command, const char *folder, const char *name, struct arena *arena) {
    char path[PATH_SIZE];
    struct profile *profile = NULL;
    struct diagnostics *diagnostics = malloc(sizeof(*diagnostics));
    CHECK(diagnostics);
    diagnostics_init(diagnostics);
    if (!folder)
        folder = config_profiles_dir();
    bool found = text_is_name(name) && snprintf(path, sizeof(path), "%s/%s%s", folder, name, SUFFIX) < (int)sizeof(path) && access(path, R_OK) == 0;
    if (!found) {
        (void)fprintf(stderr, "yanhuo %s: there is no profile '%s' in %s\n  `ls %s` shows what there is.\n", command, name, folder, folder);
    } else if (profile_load(path, name, arena, diagnostics, &profile) != ERR_OK) {
        diagnostics_print(diagnostics, stderr);
        profile = NULL;
    }
    diagnostics_done(diagnostics);
    free(diagnostics);
    return profile;
}

void field_profiles_load(struct field_profiles *profiles, const char *folder) {
    struct diagnostics *diagnostics = malloc(sizeof(*diagnostics));
    CHECK(diagnostics);
    diagnostics_init(diagnostics);
    arena_init(&profiles->arena);
    profiles->count = 0;
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory && profiles->count < FIELD_PROFILES_MAX && (entry = readdir(directory));) {
        char path[PATH_SIZE], name[NAME_SIZE];
        struct profile *profile;
        if (!profile_name(entry->d_name, name) || snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name) >= (int)sizeof(path))
            continue;
        if (profile_load(path, name, &profiles->arena, diagnostics, &profile) == ERR_OK)
            profiles->items[profiles->count++] = profile;
    }
    if (directory)
        (void)closedir(directory);
    qsort(profiles->items, profiles->count, sizeof(profiles->items[0]), by_name);
    diagnostics_done(diagnostics);
    free(diagnostics);
}

void field_profiles_done(struct field_profiles *profiles) {
    arena_done(&profiles->arena);
}

static const struct bus_answer *cached_read(struct field_cache *cache, enum frame_function function, uint16_t address, uint16_t count) {
    unsigned i = 0;
    for (; i < cache->count; i++)
        if (cache->reads[i].function == function && cache->reads[i].address == address && cache->reads[i].registers == count)
            return &cache->reads[i].answer;
    if (i == FIELD_CACHE_MAX)
        i = FIELD_CACHE_MAX - 1; /* the last place is used again and again */
    else
        cache->count++;
    const uint8_t *data;
    cache->reads[i].function = function;
    cache->reads[i].address = address;
    cache->reads[i].registers = count;
    (void)field_read(cache->client, cache->unit_id, function, address, count, cache->timeout_us, &cache->reads[i].answer, &data);
    return &cache->reads[i].answer;
}

void field_fit(struct field_cache *cache, const struct profile *profile, struct arena *arena, struct fit *ret_fit) {
    fit_init(ret_fit, profile, arena);
    for (unsigned i = 0; i < fit_requests(ret_fit) && ret_fit->refused == 0; i++) {
        const struct plan_request *request = fit_request(ret_fit, i);
        fit_note(ret_fit, i, cached_read(cache, request->function, request->address, request->count));
    }
    if (ret_fit->refused > 0 || !profile->address_register.known || profile->address_register.coil)
        return;
    const struct bus_answer *answer = cached_read(cache, FC_READ_HOLDING, profile->address_register.address, 1);
    if (answer->status == BUS_ANSWERED && answer->pdu.size == 4 && answer->pdu.bytes[0] == FC_READ_HOLDING)
        fit_note_address(ret_fit, (uint16_t)(answer->pdu.bytes[2] << 8 | answer->pdu.bytes[3]), cache->unit_id);
}
